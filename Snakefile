# The table of contents. `snakemake --cores all --resources gpu=1` makes Tables 1, 2 and 3 of the paper on the data set
# that config.yaml names; data flows from the first include to the last.
import os

from snakemake.utils import min_version

min_version("9.0")


# beside this file, also where workflow/Snakefile includes it
configfile: f"{workflow.current_basedir.get_path_or_uri(secret_free=True)}/config.yaml"


report: "rules/report/workflow.rst"


# the image of Dockerfile or containers/pivm.def, for `--software-deployment-method apptainer`
if IMAGE := os.getenv("PIVM_CONTAINER"):

    container: IMAGE


include: "rules/common.smk"
include: "rules/code.smk"
include: "rules/functions.smk"
include: "rules/demands.smk"
include: "rules/resources.smk"


if ARCHIVE:

    include: "rules/download.smk"


if DATASET.layout.rules:

    include: f"rules/{DATASET.layout.rules}"


include: "rules/data.smk"
include: "rules/generators.smk"


for rules_of_kind in KIND_RULES:

    include: f"rules/{rules_of_kind}.smk"


include: "rules/synthesis.smk"
include: "rules/gate.smk"
include: "rules/export.smk"
include: "rules/segmentation.smk"
include: "rules/images.smk"
include: "rules/agreement.smk"
include: "rules/ablation.smk"
include: "rules/evidence.smk"
include: "rules/nnunet.smk"
include: "rules/privacy.smk"
include: "rules/privacy_controls.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/page.smk"


rule all:
    default_target: True
    input:
        str(ARCHIVE)
        if ARCHIVE
        else [
            expand(f"{RESULTS}/tables/{{table}}.{{form}}", table=TABLES, form=TABLE_FORMS),
            expand(f"{RESULTS}/tables/{{table}}.{{form}}", table=["hu_fidelity", "organ_texture"], form=["csv", "md"]),
            expand(f"{RESULTS}/figures/{{figure}}.png", figure=["cohort", *TABLES, "panel", "fig4", "hu_fidelity"]),
            expand(f"{RESULTS}/figures/{{table}}_organs.png", table=ORGAN_TABLES),
            [f"{RESULTS}/generators/{name}/seed_{seed}/README.md" for name, seed in RUNS],
            f"{RESULTS}/manifest.json",
            f"{RESULTS}/report",
            [VOLUMES, f"{RESULTS}/figures/fig5.png"] if config["synthesis"]["volumes"] else [],
        ],
