# Tables, slices and volumes -> figures of the tables, panel, Fig. 5.
# in: tables/, store/, images/, synthesis/<name>/seed_<n>/volumes   out: figures/
rule figure_table:
    input:
        cases=f"{RESULTS}/{{cohort}}tables/{{table}}_cases.csv",
        table=f"{RESULTS}/{{cohort}}tables/{{table}}.csv",
    output:
        report(
            f"{RESULTS}/{{cohort}}figures/{{table}}.png",
            caption="report/figure_table.rst",
            category="Figures",
            labels={"figure": "{table} as a plot"},
        ),
    log:
        f"{RESULTS}/logs/{{cohort}}figure_table/{{table}}.log",
    wildcard_constraints:
        table="|".join([*TABLES, *VOLUME_TABLES]),
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_table", *SEGMENTATION_METRICS, *IMAGE_METRICS),
        confidence=config["tables"]["confidence"],
        procedural=DATASET.layout.procedural,
        generated=GENERATED,
    script:
        "../workflow_scripts/figure_table.py"


rule figure_organs:
    input:
        organs=f"{RESULTS}/{{cohort}}tables/{{table}}_organs.csv",
    output:
        report(
            f"{RESULTS}/{{cohort}}figures/{{table}}_organs.png",
            caption="report/figure_organs.rst",
            category="Figures",
            labels={"figure": "{table} for each organ"},
        ),
    log:
        f"{RESULTS}/logs/{{cohort}}figure_organs/{{table}}.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_organs", *SEGMENTATION_METRICS),
        confidence=config["tables"]["confidence"],
        procedural=DATASET.layout.procedural,
        generated=GENERATED,
    script:
        "../workflow_scripts/figure_organs.py"


rule figure_panel:
    input:
        store=rules.slice_store.output,
        prior=f"{RESULTS}/prior.json",
        synthetic=paired_slices([(name, FIRST_SEED) for name in config["tables"]["generators"]], cohort=""),
    output:
        report(
            f"{RESULTS}/figures/panel.png",
            caption="report/panel.rst",
            category="Figures",
            labels={"figure": "labels, prior, variation and synthetic slices"},
        ),
    log:
        f"{RESULTS}/logs/figure_panel.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_panel"),
        generators=config["tables"]["generators"],
        procedural=DATASET.layout.procedural,
    script:
        "../workflow_scripts/figure_panel.py"


rule figure_volumes:
    input:
        volumes=VOLUMES,
    output:
        report(
            f"{RESULTS}/figures/fig5.png",
            caption="report/volumes.rst",
            category="Figures",
            labels={"figure": "coronal and sagittal views of a synthetic volume"},
        ),
    log:
        f"{RESULTS}/logs/figure_volumes.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_volumes"),
        subjects={name: subject.as_params() for name, subject in LISTING.subjects.items()},
        labels=config["labels"],
        procedural=DATASET.layout.procedural,
        size=config["image"]["size"],
    script:
        "../workflow_scripts/figure_volumes.py"
