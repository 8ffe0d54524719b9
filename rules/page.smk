# Everything that a run leaves -> the page report/index.html, which a browser opens from the disk or a web server.
# in: tables/, figures/, store/, images/, synthesis/<name>/seed_<n>/volumes, manifest.json   out: report/
VIEWER = find_viewer()
# volumes of every generator, side by side
PAGE_VOLUMES = [
    f"{RESULTS}/synthesis/{name}/seed_{FIRST_SEED}/volumes"
    for name in config["tables"]["generators"]
    if config["synthesis"]["volumes"]
]
# what the page shows of targets beside the default one. The audit is kept up to date where there is one, as in the model
# cards; an evidence is made before the page where it is asked for together with it, else it is shown as it is
EVIDENCE_SHOWN, PRIVACY_SHOWN = (
    [f"{RESULTS}/tables/{target}.csv", f"{RESULTS}/tables/{target}.md", f"{RESULTS}/figures/{target}.png"]
    for target in ("evidence", "privacy")
)
EVIDENCE_ASKED_FOR = "evidence" in flags.targets


rule page:
    input:
        tables=expand(f"{RESULTS}/tables/{{table}}.{{form}}", table=TABLES, form=["csv", "md"]),
        beside=expand(f"{RESULTS}/tables/{{table}}_{{part}}.csv", table=TABLES, part=["cases", "differences"]),
        organs=expand(f"{RESULTS}/tables/{{table}}_organs.csv", table=ORGAN_TABLES),
        figures=expand(f"{RESULTS}/figures/{{figure}}.png", figure=["cohort", *TABLES, "hu_fidelity"]),
        figures_of_organs=expand(f"{RESULTS}/figures/{{table}}_organs.png", table=ORGAN_TABLES),
        evidence=EVIDENCE_SHOWN if EVIDENCE_ASKED_FOR else [],
        privacy=PRIVACY_SHOWN if privacy_of_card(None) else [],
        agreement=f"{RESULTS}/images/agreement.csv",
        images=paired_slices(FIRST_RUNS, cohort=""),
        store=rules.slice_store.output,
        prior=f"{RESULTS}/prior.json",
        selection=f"{RESULTS}/cohort/selection.csv",
        split=f"{RESULTS}/cohort/split.csv",
        volumes=PAGE_VOLUMES,
        views=[f"{RESULTS}/figures/fig5.png"] if PAGE_VOLUMES else [],
        manifest=f"{RESULTS}/manifest.json",
        viewer=[str(VIEWER)] if VIEWER else [],
    output:
        directory(f"{RESULTS}/report"),
    log:
        f"{RESULTS}/logs/page.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("page", DATASET.layout.module, *SEGMENTATION_METRICS, *IMAGE_METRICS),
        static=static_hash(),
        evidence=(
            None if EVIDENCE_ASKED_FOR else content_hash(Path(path) for path in EVIDENCE_SHOWN if os.path.exists(path))
        ),
        dataset=DATASET.name,
        procedural=DATASET.layout.procedural,
        generators=GENERATORS,
        generated=GENERATED,
        references={table: pivm_config.reference(config, table) for table in TABLES},
        seed=FIRST_SEED,
        labels=config["labels"],
        confidence=config["tables"]["confidence"],
        subjects={name: subject.as_params() for name, subject in LISTING.subjects.items()},
    script:
        "../workflow_scripts/page.py"
