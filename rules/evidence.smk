# Draws of annotated patients -> arms -> Dice against annotated patients, on the test slices as they are and as another
# scanner would show them; target `evidence`.
# in: cohort/split.csv, store/   out: evidence/annotated_<n>/, tables/evidence.*, figures/evidence.png
rule evidence:
    input:
        evidence_demands,
        expand(f"{RESULTS}/tables/evidence.{{form}}", form=TABLE_FORMS),
        f"{RESULTS}/figures/evidence.png",


rule draw_patients:
    input:
        split=f"{RESULTS}/cohort/split.csv",
    output:
        split=f"{RESULTS}/evidence/annotated_{{annotated}}/cohort/split.csv",
    log:
        f"{RESULTS}/evidence/annotated_{{annotated}}/logs/draw_patients.log",
    wildcard_constraints:
        annotated=r"\d+|all",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("draw_patients"),
        annotated=lambda wildcards: wildcards.annotated if wildcards.annotated == "all" else int(wildcards.annotated),
        # not tracked: a longer list leaves the draws that are there, and what learnt from them, as they are
        patients=lambda wildcards, input: config["evidence"]["patients"],
        seed=config["split"]["seed"],
    script:
        "../workflow_scripts/draw_patients.py"


rule evidence_table:
    input:
        splits=[f"{RESULTS}/{prefix}cohort/split.csv" for prefix in EVIDENCE_DRAWS],
        cases=evidence_cases,
    output:
        **table_forms("evidence", "report/evidence.rst", cohort=""),
        cases=f"{RESULTS}/tables/evidence_cases.csv",
        figure=report(
            f"{RESULTS}/figures/evidence.png",
            caption="report/evidence.rst",
            category="Figures",
            labels={"figure": "Dice against annotated patients"},
        ),
    log:
        f"{RESULTS}/logs/evidence.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("evidence", *SEGMENTATION_METRICS),
        points=lambda wildcards: [
            (test, draw, steps, arm) for test in EVIDENCE_TESTS for draw, steps, arm, _ in EVIDENCE_POINTS
        ],
        patients=config["evidence"]["patients"],
        shifted=config["evidence"]["shifted"],
        confidence=config["tables"]["confidence"],
        procedural=DATASET.layout.procedural,
    script:
        "../workflow_scripts/evidence.py"
