# Scores -> Tables 2 and 3, figures, model cards, manifest.
# in: segmentation/<set>/cases.csv, tables/table1.csv   out: tables/, figures/, generators/<name>/README.md, manifest.json
rule table:
    input:
        cases=lambda wildcards: expand(
            f"{RESULTS}/segmentation/{{training_set}}/cases.csv", training_set=COLUMNS[wildcards.table].values()
        ),
    output:
        **table_forms("{table}", "report/table.rst"),
        cases=f"{RESULTS}/tables/{{table}}_cases.csv",
        differences=f"{RESULTS}/tables/{{table}}_differences.csv",
    log:
        f"{RESULTS}/logs/table/{{table}}.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("table", *SEGMENTATION_METRICS),
        columns=lambda wildcards: COLUMNS[wildcards.table],
        weights=lambda wildcards: pivm_config.weights_note(config, [*COLUMNS[wildcards.table], GENERATED]),
        tables={k: config["tables"][k] for k in ("metrics", "confidence", "resamples")},
        seed=config["seed"],
    script:
        "../workflow_scripts/table.py"


rule figure_table:
    input:
        cases=f"{RESULTS}/tables/{{table}}_cases.csv",
        table=f"{RESULTS}/tables/{{table}}.csv",
    output:
        report(
            f"{RESULTS}/figures/{{table}}.png",
            caption="report/figure_table.rst",
            category="Figures",
            labels={"figure": "{table} as a plot"},
        ),
    log:
        f"{RESULTS}/logs/figure_table/{{table}}.log",
    wildcard_constraints:
        table="|".join(TABLES),
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_table", *SEGMENTATION_METRICS, *IMAGE_METRICS),
        confidence=config["tables"]["confidence"],
    script:
        "../workflow_scripts/figure_table.py"


rule figure_panel:
    input:
        store=rules.slice_store.output,
        prior=f"{RESULTS}/prior.json",
        synthetic=expand(
            f"{RESULTS}/synthesis/{{generator}}/slices/{{name}}",
            generator=config["tables"]["generators"],
            name=["index.csv", "hu.npy"],
        ),
    output:
        report(
            f"{RESULTS}/figures/panel.png",
            caption="report/panel.rst",
            category="Figures",
            labels={"figure": "real, prior, variation and synthetic slices"},
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
    script:
        "../workflow_scripts/figure_panel.py"


rule figure_volumes:
    input:
        volumes=f"{RESULTS}/synthesis/{GENERATED}/volumes",
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
    script:
        "../workflow_scripts/figure_volumes.py"


rule model_card:
    input:
        model=model_of,
        split=f"{RESULTS}/cohort/split.csv",
        table1=f"{RESULTS}/tables/table1.csv",
        table2=f"{RESULTS}/tables/table2.csv",
    output:
        f"{RESULTS}/generators/{{generator}}/README.md",
    log:
        f"{RESULTS}/logs/model_card/{{generator}}.log",
    conda:
        "../envs/training.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("model_card", *SEGMENTATION_METRICS, *IMAGE_METRICS),
        dataset=DATASET.name,
    script:
        "../workflow_scripts/model_card.py"


# what was trained and put together for the tables: each says which code and versions made it
STAGES = [
    f"{name}/{stage}"
    for name in GENERATORS
    for stage in pivm_config.kind_named(config, name).stages
    if name not in CHECKPOINTS
]
MODEL_FACTS = [
    *expand(f"{RESULTS}/generators/{{folder}}/model.json", folder=[*GENERATORS, *STAGES]),
    *expand(f"{RESULTS}/segmentation/{{training_set}}/seed_{{seed}}/model.json", training_set=SETS, seed=SEEDS),
]


rule manifest:
    input:
        tables=expand(f"{RESULTS}/tables/{{table}}.csv", table=TABLES),
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        models=MODEL_FACTS,
    output:
        f"{RESULTS}/manifest.json",
    log:
        f"{RESULTS}/logs/manifest.log",
    conda:
        "../envs/training.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("manifest"),
        config=config,
    script:
        "../workflow_scripts/manifest.py"
