# Synthetic slices of held-out patients -> whether they show what their label maps say, in the eyes of the segmenters of
# `original`, which learnt from the slices of training patients.
# in: store/, images/<name>/seed_<n>/, segmentation/original/   out: segmentation/agreement/, images/agreement.csv
AGREEING = [(name, seed) for name, seed in RUNS if name in SCORES["label_agreement"]]


rule agreement:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        synthetic=paired_slices(AGREEING),
        models=[
            f"{RESULTS}/segmentation/original/seed_{seed}/model.{kind}"
            for seed in SETS["original"].segmenter_seeds
            for kind in ("safetensors", "json")
        ],
    output:
        slices=f"{RESULTS}/{{cohort}}images/agreement.csv",
        cases=[
            f"{RESULTS}/{{cohort}}segmentation/{folder}/cases.csv"
            for folders in SCORES["label_agreement"].values()
            for folder in folders
        ],
    log:
        f"{RESULTS}/logs/{{cohort}}agreement.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=code("agreement", *SEGMENTATION_METRICS),
        runs=AGREEING,
        part=scored_part,
        segmenter_seeds=SETS["original"].segmenter_seeds,
        batch=untracked(config["segmentation"]["test_batch"]),
        labels=config["labels"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/agreement.py"
