# The table of contents. `snakemake --cores all --resources gpu=1` makes Tables 1, 2 and 3 of the paper on the data set
# that config.yaml names; data flows from the first include to the last.
from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config.yaml"


report: "rules/report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/generators.smk"
include: "rules/maisi.smk"
include: "rules/synthesis.smk"
include: "rules/segmentation.smk"
include: "rules/images.smk"
include: "rules/ablation.smk"
include: "rules/tables.smk"


rule all:
    default_target: True
    input:
        expand(f"{RESULTS}/tables/{{table}}.{{form}}", table=TABLES, form=TABLE_FORMS),
        expand(f"{RESULTS}/tables/hu_fidelity.{{form}}", form=["csv", "md"]),
        expand(f"{RESULTS}/figures/{{figure}}.png", figure=[*TABLES, "panel", "fig4", "hu_fidelity"]),
        f"{RESULTS}/manifest.json",
        [VOLUMES, f"{RESULTS}/figures/fig5.png"] if config["synthesis"]["volumes"] else [],
