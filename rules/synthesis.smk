# Labels of training patients -> synthetic slices and volumes.
# in: store/, prior.json, generators/<name>/   out: synthesis/<name>/slices/, synthesis/<name>/volumes/
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
    threads: training_threads
    resources:
        gpu=GPUS,
    params:
        code=generator_code("synthesise_slices"),
        slices=config["synthesis"]["slices"],
        batch=config["synthesis"]["batch"],
        labels=config["labels"],
        seed=config["seed"],
        compute=config["compute"],
    script:
        "../workflow_scripts/synthesise_slices.py"


rule synthesise_volumes:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        records=per_subject("record.json"),
        model=model_of,
    output:
        directory(f"{RESULTS}/synthesis/{{generator}}/volumes"),
    log:
        f"{RESULTS}/logs/synthesise_volumes/{{generator}}.log",
    conda:
        "../envs/training.yaml"
    threads: training_threads
    resources:
        gpu=GPUS,
    params:
        code=generator_code("synthesise_volumes"),
        volumes=config["synthesis"]["volumes"],
        folders={name: str(folder) for name, folder in LISTING.subjects.items()},
        labels=config["labels"],
        overlap=config["selection"]["overlap"],
        size=config["image"]["size"],
        seed=config["seed"],
        compute=config["compute"],
    script:
        "../workflow_scripts/synthesise_volumes.py"
