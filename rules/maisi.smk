# Stacks of slices -> MAISI: autoencoder, diffusion on its latents, ControlNet; or released weights.
# in: store/, prior.json   out: generators/<name>/seed_<n>/autoencoder/, generators/<name>/seed_<n>/diffusion/, generators/<name>/seed_<n>/
rule maisi_autoencoder:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        prior=prior_of,
    output:
        weights=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/autoencoder/model.safetensors",
        facts=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/autoencoder/model.json",
        losses=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/autoencoder/losses.csv",
        stats=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/autoencoder/stats.csv",
    log:
        f"{RESULTS}/logs/maisi_autoencoder/{{generator}}_{{generator_seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/maisi_autoencoder/{{generator}}_{{generator_seed}}.tsv"
    wildcard_constraints:
        generator=generators_of("maisi"),
    priority: 10
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("training", gpus=1),
    params:
        code=code("maisi_autoencoder"),
        settings=stage_settings("slab", "autoencoder"),
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/maisi_autoencoder.py"


rule maisi_diffusion:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        prior=prior_of,
        autoencoder=rules.maisi_autoencoder.output,
    output:
        weights=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/diffusion/model.safetensors",
        facts=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/diffusion/model.json",
        losses=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/diffusion/losses.csv",
        stats=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/diffusion/stats.csv",
    log:
        f"{RESULTS}/logs/maisi_diffusion/{{generator}}_{{generator_seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/maisi_diffusion/{{generator}}_{{generator_seed}}.tsv"
    wildcard_constraints:
        generator=generators_of("maisi"),
    priority: 10
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("training", gpus=1),
    params:
        code=code("maisi_diffusion"),
        settings=stage_settings("slab", "autoencoder", "diffusion"),
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/maisi_diffusion.py"


rule maisi_controlnet:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        prior=prior_of,
        autoencoder=rules.maisi_autoencoder.output,
        diffusion=rules.maisi_diffusion.output,
    output:
        weights=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/model.safetensors",
        facts=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/model.json",
        prior=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/prior.json",
        losses=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/losses.csv",
        stats=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/stats.csv",
    log:
        f"{RESULTS}/logs/maisi_controlnet/{{generator}}_{{generator_seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/maisi_controlnet/{{generator}}_{{generator_seed}}.tsv"
    wildcard_constraints:
        generator=generators_of("maisi"),
    priority: 10
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("training", gpus=1),
    params:
        code=generator_code("maisi_controlnet"),
        settings=lambda wildcards: pivm_config.training_settings(config, wildcards.generator),
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/maisi_controlnet.py"


rule maisi_released:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        prior=prior_of,
        checkpoints=lambda wildcards: list(map(str, CHECKPOINTS[wildcards.generator].values())),
    output:
        weights=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/model.safetensors",
        facts=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/model.json",
        prior=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/prior.json",
        losses=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/losses.csv",
        stats=f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/stats.csv",
    log:
        f"{RESULTS}/logs/maisi_released/{{generator}}_{{generator_seed}}.log",
    wildcard_constraints:
        generator=generators_of("maisi", released=True),
    conda:
        "../envs/training.yaml"
    resources:
        **needs("scans"),
    params:
        code=generator_code("maisi_released"),
        settings=lambda wildcards: pivm_config.training_settings(config, wildcards.generator),
        seed=generator_seed,
    script:
        "../workflow_scripts/maisi_released.py"
