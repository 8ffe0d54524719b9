# nnU-Net on the exported data sets -> its scores on whole volumes of test patients beside our own; target `nnunet`.
# in: export/nnUNet_raw/   out: nnunet/, segmentation/nnunet/<part>/volume_cases.csv, tables/nnunet.*
rule nnunet:
    input:
        nnunet_demands,
        expand(f"{RESULTS}/tables/nnunet.{{form}}", form=TABLE_FORMS),


rule nnunet_preprocess:
    input:
        f"{RESULTS}/export/nnUNet_raw/{{nnunet_dataset}}",
    output:
        directory(f"{RESULTS}/nnunet/nnUNet_preprocessed/{{nnunet_dataset}}"),
    log:
        f"{RESULTS}/logs/nnunet_preprocess/{{nnunet_dataset}}.log",
    conda:
        "../envs/nnunet.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("nnunet_preprocess"),
    script:
        "../workflow_scripts/nnunet_preprocess.py"


rule nnunet_train:
    input:
        f"{RESULTS}/nnunet/nnUNet_preprocessed/{{nnunet_dataset}}",
    output:
        f"{NNUNET_MODEL}/fold_0/checkpoint_final.pth",
    log:
        f"{RESULTS}/logs/nnunet_train/{{nnunet_dataset}}/seed_{{segmenter_seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/nnunet_train/{{nnunet_dataset}}/seed_{{segmenter_seed}}.tsv"
    conda:
        "../envs/nnunet.yaml"
    threads: THREADS
    resources:
        **needs("training", gpus=1),
    params:
        code=code("nnunet_train"),
        settings={key: value for key, value in config["nnunet"].items() if key != "seeds"},
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/nnunet_train.py"


rule nnunet_test:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        data=lambda wildcards: f"{RESULTS}/export/nnUNet_raw/{NNUNET_DATASETS[wildcards.part]}",
        models=lambda wildcards: expand(
            rules.nnunet_train.output[0],
            nnunet_dataset=NNUNET_DATASETS[wildcards.part],
            segmenter_seed=config["nnunet"]["seeds"],
        ),
    output:
        cases=f"{RESULTS}/segmentation/nnunet/{{part}}/volume_cases.csv",
    log:
        f"{RESULTS}/logs/nnunet_test/{{part}}.log",
    wildcard_constraints:
        part="|".join(NNUNET_DATASETS),
    conda:
        "../envs/nnunet.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=code("nnunet_test", *SEGMENTATION_METRICS),
        seeds=config["nnunet"]["seeds"],
        generator_seed=lambda wildcards: None if wildcards.part == "original" else FIRST_SEED,
        labels=config["labels"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/nnunet_test.py"
