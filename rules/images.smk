# Synthetic and real slices of held-out patients -> Table 1, HU per organ, zoomed comparison.
# in: store/, images/<name>/seed_<n>/   out: images/, tables/table1.*, tables/hu_fidelity.*, tables/organ_texture.*, figures/
EXTRACTOR = config["tables"]["extractor"]


rule image_scores:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        synthetic=paired_slices(RUNS),
        # a missing file is explained by the job
        weights=[EXTRACTOR["weights"]] if EXTRACTOR["weights"] and os.path.exists(EXTRACTOR["weights"]) else [],
    output:
        cases=f"{RESULTS}/{{cohort}}images/cases.csv",
        floor=f"{RESULTS}/{{cohort}}images/floor.csv",
        kid=f"{RESULTS}/{{cohort}}images/kid.csv",
    log:
        f"{RESULTS}/logs/{{cohort}}image_scores.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{cohort}}image_scores.tsv"
    conda:
        "../envs/images.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=code("image_scores", *IMAGE_METRICS),
        runs=RUNS,
        part=scored_part,
        tables={k: config["tables"][k] for k in ("image_metrics", "extractor", "image_window")},
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/image_scores.py"


rule table1:
    input:
        cases=f"{RESULTS}/{{cohort}}images/cases.csv",
        floor=f"{RESULTS}/{{cohort}}images/floor.csv",
        kid=f"{RESULTS}/{{cohort}}images/kid.csv",
    output:
        **table_forms("table1", "report/table1.rst"),
        cases=f"{RESULTS}/{{cohort}}tables/table1_cases.csv",
        floor=f"{RESULTS}/{{cohort}}tables/table1_floor.csv",
        differences=f"{RESULTS}/{{cohort}}tables/table1_differences.csv",
    log:
        f"{RESULTS}/logs/{{cohort}}table1.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("table1", *IMAGE_METRICS),
        runs=RUNS,
        weights=pivm_config.weights_note(config, GENERATORS),
        tables={k: config["tables"][k] for k in ("image_metrics", "extractor", "image_window", "confidence")},
        procedural=DATASET.layout.procedural,
        reference=pivm_config.reference(config, "table1"),
    script:
        "../workflow_scripts/table1.py"


rule hu_fidelity:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        synthetic=paired_slices(RUNS),
    output:
        csv=f"{RESULTS}/{{cohort}}tables/hu_fidelity.csv",
        md=f"{RESULTS}/{{cohort}}tables/hu_fidelity.md",
        texture_csv=f"{RESULTS}/{{cohort}}tables/organ_texture.csv",
        texture_md=f"{RESULTS}/{{cohort}}tables/organ_texture.md",
    log:
        f"{RESULTS}/logs/{{cohort}}hu_fidelity.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("hu_fidelity"),
        runs=RUNS,
        part=scored_part,
        labels=config["labels"],
        tables={k: config["tables"][k] for k in ("confidence",)},
        procedural=DATASET.layout.procedural,
    script:
        "../workflow_scripts/hu_fidelity.py"


rule figure_hu_fidelity:
    input:
        table=f"{RESULTS}/{{cohort}}tables/hu_fidelity.csv",
    output:
        report(
            f"{RESULTS}/{{cohort}}figures/hu_fidelity.png",
            caption="report/hu_fidelity.rst",
            category="Figures",
            labels={"figure": "HU per organ"},
        ),
    log:
        f"{RESULTS}/logs/{{cohort}}figure_hu_fidelity.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_hu_fidelity"),
        procedural=DATASET.layout.procedural,
    script:
        "../workflow_scripts/figure_hu_fidelity.py"


rule figure_zoom:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        prior=f"{RESULTS}/prior.json",
        synthetic=paired_slices(FIRST_RUNS),
    output:
        report(
            f"{RESULTS}/{{cohort}}figures/fig4.png",
            caption="report/zoom.rst",
            category="Figures",
            labels={"figure": "zoomed comparison of slices"},
        ),
    log:
        f"{RESULTS}/logs/{{cohort}}figure_zoom.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("figure"),
    params:
        code=code("figure_zoom"),
        runs=FIRST_RUNS,
        part=scored_part,
        procedural=DATASET.layout.procedural,
        window=config["tables"]["image_window"],
    script:
        "../workflow_scripts/figure_zoom.py"
