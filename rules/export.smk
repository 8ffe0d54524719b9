# Real training scans, synthetic volumes or both -> a data set for other segmenters; made when asked for by name.
# in: cohort/split.csv, subjects/, the scans themselves, synthesis/<name>/volumes/   out: export/<part>_<form>/
rule export:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        # change when a scan does; which subjects train is not known before the split
        records=lambda wildcards: [] if wildcards.part == "generated" else per_subject("record.json"),
        volumes=lambda wildcards: [] if wildcards.part == "original" else VOLUMES,
    output:
        directory(f"{RESULTS}/export/{{part}}_{{form}}"),
    log:
        f"{RESULTS}/logs/export/{{part}}_{{form}}.log",
    wildcard_constraints:
        part="original|generated|combined",
        form="nnunet|totalsegmentator",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("export", DATASET.layout.module),
        subjects={name: subject.as_params() for name, subject in LISTING.subjects.items()},
        labels=config["labels"],
        overlap=config["selection"]["overlap"],
        other_grid=config["quality"]["other_grid"],
        padding=config["quality"]["padding"],
    script:
        "../workflow_scripts/export.py"
