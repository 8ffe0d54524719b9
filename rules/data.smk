# Scans -> slices and organ means.
# in: what the layout of the data set says (pivm/datasets)   out: subjects/, cohort/, store/, prior.json
rule prepare_subject:
    input:
        subject_files,
    output:
        record=f"{RESULTS}/subjects/{{subject}}/record.json",
        rows=f"{RESULTS}/subjects/{{subject}}/rows.csv",
        hu=f"{RESULTS}/subjects/{{subject}}/hu.npy",
        labels=f"{RESULTS}/subjects/{{subject}}/labels.npy",
        body=f"{RESULTS}/subjects/{{subject}}/body.npy",
    log:
        f"{RESULTS}/logs/prepare_subject/{{subject}}.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scan"),
    params:
        code=code("prepare_subject", DATASET.layout.module),
        labels=config["labels"],
        size=config["image"]["size"],
        selection=config["selection"],
        quality=config["quality"],
        subject=lambda wildcards: LISTING.subjects[wildcards.subject].as_params(),
    script:
        "../workflow_scripts/prepare_subject.py"


rule select_scans:
    input:
        records=per_subject("record.json"),
        made=LISTING.files,
    output:
        selection=f"{RESULTS}/cohort/selection.csv",
        labels=f"{RESULTS}/cohort/labels.csv",
        unused_names=f"{RESULTS}/cohort/unused_names.csv",
    log:
        f"{RESULTS}/logs/select_scans.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("select_scans"),
        labels=config["labels"],
        refused=LISTING.refused,
    script:
        "../workflow_scripts/select_scans.py"


rule split_patients:
    input:
        selection=f"{RESULTS}/cohort/selection.csv",
    output:
        split=f"{RESULTS}/cohort/split.csv",
    log:
        f"{RESULTS}/logs/split_patients.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("split_patients"),
        split=config["split"],
        own_split=LISTING.split,
    script:
        "../workflow_scripts/split_patients.py"


rule slice_store:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        records=per_subject("record.json"),
    output:
        index=f"{RESULTS}/store/index.csv",
        hu=f"{RESULTS}/store/hu.npy",
        labels=f"{RESULTS}/store/labels.npy",
        body=f"{RESULTS}/store/body.npy",
        sums=f"{RESULTS}/store/SHA256SUMS",
    log:
        f"{RESULTS}/logs/slice_store.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("slice_store"),
        size=config["image"]["size"],
    script:
        "../workflow_scripts/slice_store.py"


rule organ_means:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
    output:
        prior=f"{RESULTS}/{{draw}}prior{{subset}}.json",
    log:
        f"{RESULTS}/{{draw}}logs/organ_means/prior{{subset}}.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("organ_means"),
        labels=config["labels"],
        known=lambda wildcards: KNOWN_LABELS[wildcards.subset],
        kind=config["prior"],
    script:
        "../workflow_scripts/organ_means.py"


rule figure_cohort:
    input:
        selection=f"{RESULTS}/cohort/selection.csv",
        labels=f"{RESULTS}/cohort/labels.csv",
        store=rules.slice_store.output,
    output:
        report(
            f"{RESULTS}/figures/cohort.png",
            caption="report/cohort.rst",
            category="Figures",
            labels={"figure": "the scans of the data set"},
        ),
    log:
        f"{RESULTS}/logs/figure_cohort.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_cohort"),
        procedural=DATASET.layout.procedural,
    script:
        "../workflow_scripts/figure_cohort.py"
