# Test slices from all labels and from fewer -> table and figure of the ablation; target `ablation`.
# in: store/, synthesis/<name>/test/   out: tables/ablation.*, figures/fig6.png
def ablation_methods(wildcards):
    """Method -> generator; the config is checked for them when they are asked for."""
    try:
        return pivm_config.ablation_methods(config)
    except errors.ConfigError as error:
        raise WorkflowError(str(error)) from None


def ablation_slices(wildcards):
    generators = ablation_methods(wildcards).values()
    return expand(
        f"{RESULTS}/synthesis/{{generator}}/test/{{name}}", generator=generators, name=["index.csv", "hu.npy"]
    )


def ablation_priors(wildcards):
    return expand(f"{RESULTS}/generators/{{generator}}/prior.json", generator=ablation_methods(wildcards).values())


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
        **table_forms("ablation", "report/ablation.rst"),
        cases=f"{RESULTS}/tables/ablation_cases.csv",
        differences=f"{RESULTS}/tables/ablation_differences.csv",
    log:
        f"{RESULTS}/logs/ablation_table.log",
    conda:
        "../envs/images.yaml"
    params:
        code=code("ablation_table"),
        methods=lambda wildcards: list(ablation_methods(wildcards)),
        labels=config["labels"],
        tables={k: config["tables"][k] for k in ("image_window", "confidence", "resamples")},
        seed=config["seed"],
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
    params:
        code=code("figure_ablation"),
        methods=lambda wildcards: list(ablation_methods(wildcards)),
    script:
        "../workflow_scripts/figure_ablation.py"
