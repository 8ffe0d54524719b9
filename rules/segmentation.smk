# Training sets -> segmenters -> scores of every held-out patient and class.
# in: store/, synthesis/<name>/seed_<n>/slices/, the scans themselves for volumes   out: segmentation/<set>/
# The test slices as another scanner would show them (cases_shifted.csv) are scored for the evidence alone.
rule train_segmenter:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
        synthetic=synthetic_part,
    output:
        weights=f"{RESULTS}/{{draw}}segmentation/{{training_set}}/seed_{{segmenter_seed}}/model.safetensors",
        facts=f"{RESULTS}/{{draw}}segmentation/{{training_set}}/seed_{{segmenter_seed}}/model.json",
        losses=f"{RESULTS}/{{draw}}segmentation/{{training_set}}/seed_{{segmenter_seed}}/losses.csv",
        stats=f"{RESULTS}/{{draw}}segmentation/{{training_set}}/seed_{{segmenter_seed}}/stats.csv",
    log:
        f"{RESULTS}/{{draw}}logs/train_segmenter/{{training_set}}/seed_{{segmenter_seed}}.log",
    benchmark:
        f"{RESULTS}/{{draw}}benchmarks/train_segmenter/{{training_set}}/seed_{{segmenter_seed}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("training", gpus=1),
    params:
        code=code("train_segmenter"),
        settings=segmenter_settings,
        real=lambda wildcards: ALL_SETS[wildcards.training_set].real,
        fold=lambda wildcards: ALL_SETS[wildcards.training_set].fold,
        labels=config["labels"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/train_segmenter.py"


rule test_segmenter:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
        models=segmenters_of,
    output:
        cases=f"{RESULTS}/{{draw}}{{cohort}}segmentation/{{training_set}}/cases{{test}}.csv",
    log:
        f"{RESULTS}/{{draw}}logs/{{cohort}}test_segmenter/{{training_set}}{{test}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=code("test_segmenter", *SEGMENTATION_METRICS),
        part=scored_part,
        shifted=lambda wildcards: config["evidence"]["shifted"] if wildcards.test else None,
        noise_seed=lambda wildcards: config["split"]["seed"] if wildcards.test else None,
        generator_seed=lambda wildcards: ALL_SETS[wildcards.training_set].generator_seed,
        segmenter_seeds=lambda wildcards: ALL_SETS[wildcards.training_set].segmenter_seeds,
        batch=untracked(config["segmentation"]["test_batch"]),
        labels=config["labels"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/test_segmenter.py"


rule test_volumes:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        # change when a scan does
        records=per_subject("record.json"),
        models=segmenters_of,
    output:
        cases=f"{RESULTS}/{{cohort}}segmentation/{{training_set}}/volume_cases.csv",
    log:
        f"{RESULTS}/logs/{{cohort}}test_volumes/{{training_set}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=code("test_volumes", DATASET.layout.module, *SEGMENTATION_METRICS),
        part=scored_part,
        generator_seed=lambda wildcards: ALL_SETS[wildcards.training_set].generator_seed,
        segmenter_seeds=lambda wildcards: ALL_SETS[wildcards.training_set].segmenter_seeds,
        batch=untracked(config["segmentation"]["test_batch"]),
        labels=config["labels"],
        size=config["image"]["size"],
        subjects={name: subject.as_params() for name, subject in LISTING.subjects.items()},
        overlap=config["selection"]["overlap"],
        other_grid=config["quality"]["other_grid"],
        padding=config["quality"]["padding"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/test_volumes.py"
