# Test slices from all labels and from fewer -> table and figure of the ablation; target `ablation`.
# in: store/, images/<name>/seed_<n>/   out: tables/ablation.*, figures/fig6.png
rule ablation:
    input:
        expand(f"{RESULTS}/tables/ablation.{{form}}", form=TABLE_FORMS),
        f"{RESULTS}/figures/fig6.png",


rule ablation_table:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        synthetic=ablation_slices,
    output:
        **table_forms("ablation", "report/ablation.rst", cohort=""),
        cases=f"{RESULTS}/tables/ablation_cases.csv",
        differences=f"{RESULTS}/tables/ablation_differences.csv",
    log:
        f"{RESULTS}/logs/ablation_table.log",
    conda:
        "../envs/images.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("ablation_table"),
        runs=ablation_runs,
        labels=config["labels"],
        tables={k: config["tables"][k] for k in ("image_window", "confidence")},
        procedural=DATASET.layout.procedural,
    script:
        "../workflow_scripts/ablation_table.py"


rule figure_ablation:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        synthetic=ablation_slices,
        priors=ablation_priors,
    output:
        report(
            f"{RESULTS}/figures/fig6.png",
            caption="report/ablation.rst",
            category="Figures",
            labels={"figure": "slices from all labels and from 13"},
        ),
    log:
        f"{RESULTS}/logs/figure_ablation.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_ablation"),
        runs=ablation_runs,
        procedural=DATASET.layout.procedural,
        window=config["tables"]["image_window"],
    script:
        "../workflow_scripts/figure_ablation.py"
