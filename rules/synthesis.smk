# Labels -> synthetic slices and volumes of training patients, and synthetic slices of test patients for Table 1.
# in: store/, generators/<name>/   out: synthesis/<name>/slices/, test/ and volumes/, generators/<name>/sampler.json
rule sampler_settings:
    output:
        f"{RESULTS}/generators/{{generator}}/sampler.json",
    log:
        f"{RESULTS}/logs/sampler_settings/{{generator}}.log",
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
        hu=f"{RESULTS}/synthesis/{{generator}}/slices/hu.npy",
        labels=f"{RESULTS}/synthesis/{{generator}}/slices/labels.npy",
        index=f"{RESULTS}/synthesis/{{generator}}/slices/index.csv",
    log:
        f"{RESULTS}/logs/synthesise_slices/{{generator}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/synthesise_slices/{{generator}}.tsv"
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
        seed=config["seed"],
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
        hu=f"{RESULTS}/synthesis/{{generator}}/test/hu.npy",
        labels=f"{RESULTS}/synthesis/{{generator}}/test/labels.npy",
        index=f"{RESULTS}/synthesis/{{generator}}/test/index.csv",
    log:
        f"{RESULTS}/logs/synthesise_test/{{generator}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("synthesise_slices"),
        part="test",
        purpose="image fidelity",
        patients=config["tables"]["image_patients"],
        batch=untracked(config["synthesis"]["batch"]),
        ddpm_batch=ddpm_batch,
        labels=config["labels"],
        seed=config["seed"],
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
        volumes=directory(f"{RESULTS}/synthesis/{{generator}}/volumes"),
        continuity=f"{RESULTS}/synthesis/{{generator}}/continuity.csv",
    log:
        f"{RESULTS}/logs/synthesise_volumes/{{generator}}.log",
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
        seed=config["seed"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/synthesise_volumes.py"
