# Labels -> synthetic slices and volumes of training patients, and synthetic slices of held-out patients for Table 1.
# in: store/, generators/<name>/seed_<n>/
# out: synthesis/<name>/seed_<n>/slices/ and volumes/, images/<name>/seed_<n>/, generators/<name>/seed_<n>/sampler.json
rule sampler_settings:
    output:
        f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/sampler.json",
    log:
        f"{RESULTS}/logs/sampler_settings/{{generator}}_{{generator_seed}}.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("sampler_settings"),
        sampler=lambda wildcards: pivm_config.sampler_settings(config, wildcards.generator),
    script:
        "../workflow_scripts/sampler_settings.py"


rule synthesise_slices:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        model=model_of,
    output:
        hu=f"{RESULTS}/synthesis/{{generator}}/seed_{{generator_seed}}/slices/hu.npy",
        labels=f"{RESULTS}/synthesis/{{generator}}/seed_{{generator_seed}}/slices/labels.npy",
        index=f"{RESULTS}/synthesis/{{generator}}/seed_{{generator_seed}}/slices/index.csv",
    log:
        f"{RESULTS}/logs/synthesise_slices/{{generator}}_{{generator_seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/synthesise_slices/{{generator}}_{{generator_seed}}.tsv"
    priority: 5
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("synthesise_slices"),
        part="train",
        purpose="synthesis",
        slices=config["synthesis"]["slices"],
        batch=untracked(config["synthesis"]["batch"]),
        ddpm_batch=ddpm_batch,
        labels=config["labels"],
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/synthesise_slices.py"


rule synthesise_test:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        model=model_of,
    output:
        hu=f"{RESULTS}/{{cohort}}images/{{generator}}/seed_{{generator_seed}}/hu.npy",
        labels=f"{RESULTS}/{{cohort}}images/{{generator}}/seed_{{generator_seed}}/labels.npy",
        index=f"{RESULTS}/{{cohort}}images/{{generator}}/seed_{{generator_seed}}/index.csv",
    log:
        f"{RESULTS}/logs/{{cohort}}synthesise_test/{{generator}}_{{generator_seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("synthesise_slices"),
        part=scored_part,
        purpose="image fidelity",
        patients=config["tables"]["image_patients"],
        batch=untracked(config["synthesis"]["batch"]),
        ddpm_batch=ddpm_batch,
        labels=config["labels"],
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/synthesise_slices.py"


rule synthesise_volumes:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        selection=f"{RESULTS}/cohort/selection.csv",
        records=per_subject("record.json"),
        model=model_of,
    output:
        volumes=directory(f"{RESULTS}/synthesis/{{generator}}/seed_{{generator_seed}}/volumes"),
        continuity=f"{RESULTS}/synthesis/{{generator}}/seed_{{generator_seed}}/continuity.csv",
    log:
        f"{RESULTS}/logs/synthesise_volumes/{{generator}}_{{generator_seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("synthesise_volumes", DATASET.layout.module),
        volumes=config["synthesis"]["volumes"],
        volumes_from=config["synthesis"]["volumes_from"],
        batch=untracked(config["synthesis"]["batch"]),
        ddpm_batch=ddpm_batch,
        subjects={name: subject.as_params() for name, subject in LISTING.subjects.items()},
        labels=config["labels"],
        overlap=config["selection"]["overlap"],
        other_grid=config["quality"]["other_grid"],
        padding=config["quality"]["padding"],
        size=config["image"]["size"],
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/synthesise_volumes.py"
