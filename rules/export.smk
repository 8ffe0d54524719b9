# Real training scans, synthetic volumes or both -> a data set for other segmenters; made when asked for by name.
# in: cohort/split.csv, subjects/, the scans themselves, synthesis/<name>/seed_<n>/volumes/
# out: export/<part>_totalsegmentator/, export/nnUNet_raw/Dataset<NNN>_<dataset>_<part>/
rule export:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        # change when a scan does; which subjects are exported is not known before the split
        records=per_subject("record.json"),
        volumes=lambda wildcards: [] if EXPORTS[wildcards.export].part == "original" else VOLUMES,
    output:
        directory(f"{RESULTS}/export/{{export}}"),
    log:
        f"{RESULTS}/logs/export/{{export}}.log",
    wildcard_constraints:
        export="|".join(EXPORTS),
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("export", DATASET.layout.module),
        part=lambda wildcards: EXPORTS[wildcards.export].part,
        form=lambda wildcards: EXPORTS[wildcards.export].form,
        subjects={name: subject.as_params() for name, subject in LISTING.subjects.items()},
        labels=config["labels"],
        overlap=config["selection"]["overlap"],
        other_grid=config["quality"]["other_grid"],
        padding=config["quality"]["padding"],
    script:
        "../workflow_scripts/export.py"
