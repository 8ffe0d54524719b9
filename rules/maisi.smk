# Stacks of slices -> MAISI: autoencoder, diffusion on its latents, ControlNet; or released weights.
# in: store/, prior.json   out: generators/<name>/autoencoder/, generators/<name>/diffusion/, generators/<name>/
rule maisi_autoencoder:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        prior=prior_of,
    output:
        weights=f"{RESULTS}/generators/{{generator}}/autoencoder/model.safetensors",
        facts=f"{RESULTS}/generators/{{generator}}/autoencoder/model.json",
        losses=f"{RESULTS}/generators/{{generator}}/autoencoder/losses.csv",
        stats=f"{RESULTS}/generators/{{generator}}/autoencoder/stats.csv",
    log:
        f"{RESULTS}/logs/maisi_autoencoder/{{generator}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/maisi_autoencoder/{{generator}}.tsv"
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
        seed=config["seed"],
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
        weights=f"{RESULTS}/generators/{{generator}}/diffusion/model.safetensors",
        facts=f"{RESULTS}/generators/{{generator}}/diffusion/model.json",
        losses=f"{RESULTS}/generators/{{generator}}/diffusion/losses.csv",
        stats=f"{RESULTS}/generators/{{generator}}/diffusion/stats.csv",
    log:
        f"{RESULTS}/logs/maisi_diffusion/{{generator}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/maisi_diffusion/{{generator}}.tsv"
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
        seed=config["seed"],
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
        weights=f"{RESULTS}/generators/{{generator}}/model.safetensors",
        facts=f"{RESULTS}/generators/{{generator}}/model.json",
        prior=f"{RESULTS}/generators/{{generator}}/prior.json",
        losses=f"{RESULTS}/generators/{{generator}}/losses.csv",
        stats=f"{RESULTS}/generators/{{generator}}/stats.csv",
    log:
        f"{RESULTS}/logs/maisi_controlnet/{{generator}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/maisi_controlnet/{{generator}}.tsv"
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
        seed=config["seed"],
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
        weights=f"{RESULTS}/generators/{{generator}}/model.safetensors",
        facts=f"{RESULTS}/generators/{{generator}}/model.json",
        prior=f"{RESULTS}/generators/{{generator}}/prior.json",
        losses=f"{RESULTS}/generators/{{generator}}/losses.csv",
        stats=f"{RESULTS}/generators/{{generator}}/stats.csv",
    log:
        f"{RESULTS}/logs/maisi_released/{{generator}}.log",
    wildcard_constraints:
        generator=generators_of("maisi", released=True),
    conda:
        "../envs/training.yaml"
    resources:
        **needs("scans"),
    params:
        code=generator_code("maisi_released"),
        settings=lambda wildcards: pivm_config.training_settings(config, wildcards.generator),
        seed=config["seed"],
    script:
        "../workflow_scripts/maisi_released.py"
