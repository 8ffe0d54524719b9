# Training sets -> segmenters -> scores of every test patient and class.
# in: store/, synthesis/<name>/slices/   out: segmentation/<set>/
rule train_segmenter:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        synthetic=synthetic_part,
    output:
        weights=f"{RESULTS}/segmentation/{{training_set}}/seed_{{seed}}/model.safetensors",
        facts=f"{RESULTS}/segmentation/{{training_set}}/seed_{{seed}}/model.json",
        losses=f"{RESULTS}/segmentation/{{training_set}}/seed_{{seed}}/losses.csv",
        stats=f"{RESULTS}/segmentation/{{training_set}}/seed_{{seed}}/stats.csv",
    log:
        f"{RESULTS}/logs/train_segmenter/{{training_set}}_{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_segmenter/{{training_set}}_{{seed}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("training", gpus=1),
    params:
        code=code("train_segmenter"),
        settings=segmenter_settings,
        labels=config["labels"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/train_segmenter.py"


rule test_segmenter:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        models=expand(
            f"{RESULTS}/segmentation/{{{{training_set}}}}/seed_{{seed}}/model.{{kind}}",
            seed=SEEDS,
            kind=["safetensors", "json"],
        ),
    output:
        cases=f"{RESULTS}/segmentation/{{training_set}}/cases.csv",
    log:
        f"{RESULTS}/logs/test_segmenter/{{training_set}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=code("test_segmenter", *SEGMENTATION_METRICS),
        seeds=SEEDS,
        batch=untracked(config["segmentation"]["test_batch"]),
        labels=config["labels"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/test_segmenter.py"
