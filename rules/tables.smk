# Scores -> Tables 2 and 3, label agreement, model cards, manifest; targets `development`, all tables on the
# validation patients, and `volume_tables`, Tables 2 and 3 on whole volumes.
# in: segmentation/<set>/cases.csv, tables/table1.csv   out: tables/, generators/<name>/seed_<n>/README.md, manifest.json
rule volume_tables:
    input:
        expand(f"{RESULTS}/tables/{{table}}.{{form}}", table=VOLUME_TABLES, form=TABLE_FORMS),
        expand(f"{RESULTS}/figures/{{table}}.png", table=VOLUME_TABLES),


rule development:
    input:
        expand(f"{RESULTS}/development/tables/{{table}}.{{form}}", table=TABLES, form=TABLE_FORMS),
        f"{RESULTS}/development/tables/hu_fidelity.csv",


rule table:
    input:
        cases=lambda wildcards: [
            f"{RESULTS}/{wildcards.cohort}segmentation/{folder}/{volume_prefix(wildcards.table)}cases.csv"
            for folders in SCORES[wildcards.table].values()
            for folder in folders
        ],
    output:
        **table_forms("{table}", "report/table.rst"),
        cases=f"{RESULTS}/{{cohort}}tables/{{table}}_cases.csv",
        differences=f"{RESULTS}/{{cohort}}tables/{{table}}_differences.csv",
        variances=f"{RESULTS}/{{cohort}}tables/{{table}}_variances.csv",
        organs=f"{RESULTS}/{{cohort}}tables/{{table}}_organs.csv",
    log:
        f"{RESULTS}/logs/{{cohort}}table/{{table}}.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("table", *SEGMENTATION_METRICS),
        # method of each file of cases
        methods=lambda wildcards: [name for name, found in SCORES[wildcards.table].items() for _ in found],
        weights=lambda wildcards: pivm_config.weights_note(config, [*SCORES[wildcards.table], GENERATED]),
        tables={k: config["tables"][k] for k in ("metrics", "confidence")},
        procedural=DATASET.layout.procedural,
        reference=lambda wildcards: pivm_config.reference(config, wildcards.table),
    script:
        "../workflow_scripts/table.py"


rule model_card:
    input:
        model=model_of,
        split=f"{RESULTS}/cohort/split.csv",
        table1=f"{RESULTS}/tables/table1.csv",
        table2=f"{RESULTS}/tables/table2.csv",
        privacy=privacy_of_card,
    output:
        f"{RESULTS}/generators/{{generator}}/seed_{{generator_seed}}/README.md",
    log:
        f"{RESULTS}/logs/model_card/{{generator}}_{{generator_seed}}.log",
    conda:
        "../envs/training.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("model_card", *SEGMENTATION_METRICS, *IMAGE_METRICS),
        dataset=DATASET.name,
        procedural=DATASET.layout.procedural,
        confidence=config["tables"]["confidence"],
    script:
        "../workflow_scripts/model_card.py"


# what was trained and put together for the tables: each says which code and versions made it
MODEL_FACTS = [
    f"{RESULTS}/generators/{name}/seed_{seed}/{stage}model.json"
    for name, seed in RUNS
    for stage in [
        "",
        *(f"{stage}/" for stage in pivm_config.kind_named(config, name).stages if name not in CHECKPOINTS),
    ]
] + [
    f"{RESULTS}/segmentation/{one.folder}/seed_{seed}/model.json"
    for one in SETS.values()
    for seed in one.segmenter_seeds
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
