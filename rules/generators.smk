# Slices -> one trained generator each.
# in: store/, prior.json   out: generators/<name>/seed_<n>/
rule train_generator:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
        prior=prior_of,
    output:
        weights=f"{RESULTS}/{{draw}}generators/{{generator}}/seed_{{generator_seed}}/model.safetensors",
        facts=f"{RESULTS}/{{draw}}generators/{{generator}}/seed_{{generator_seed}}/model.json",
        prior=f"{RESULTS}/{{draw}}generators/{{generator}}/seed_{{generator_seed}}/prior.json",
        losses=f"{RESULTS}/{{draw}}generators/{{generator}}/seed_{{generator_seed}}/losses.csv",
        stats=f"{RESULTS}/{{draw}}generators/{{generator}}/seed_{{generator_seed}}/stats.csv",
    log:
        f"{RESULTS}/{{draw}}logs/train_generator/{{generator}}_{{generator_seed}}.log",
    benchmark:
        f"{RESULTS}/{{draw}}benchmarks/train_generator/{{generator}}_{{generator_seed}}.tsv"
    wildcard_constraints:
        generator=generators_of("generators"),
    priority: 10
    conda:
        "../envs/training.yaml"
    threads: THREADS * TRAINING_GPUS
    resources:
        **needs("training", gpus=TRAINING_GPUS),
    params:
        code=generator_code("train_generator", training=True),
        settings=lambda wildcards: pivm_config.training_settings(config, wildcards.generator),
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/train_generator.py"
