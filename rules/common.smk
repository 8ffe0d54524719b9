# Config validation, names and input functions; no rule.
import os
import shutil
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# not workflow.basedir, which is the folder workflow/ where workflow/Snakefile is run
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))

from pivm.provenance import code_hash
from pivm import config as pivm_config, errors
from pivm.datasets import Dataset, Listing
from pivm.generators import KINDS
from pivm.generators.maisi.checkpoints import checkpoint_files
from pivm.job import gpus_of_this_node, require_writable
from pivm.labels import ORGANS_34, LabelSet

try:
    pivm_config.validate(config, ROOT / "rules/schemas/config.schema.yaml")
    DATASET = Dataset(config["dataset"], config["datasets"][config["dataset"]])
    ARCHIVE = DATASET.to_fetch()
    LISTING = Listing() if ARCHIVE else DATASET.listing()
    RESULTS = f"{config['results']}/{DATASET.name}"
    require_writable(RESULTS)
    CHECKPOINTS = {n: checkpoint_files(g["weights"]) for n, g in config["generators"].items() if g.get("weights")}
except (errors.PivmError, OSError) as error:
    raise WorkflowError(str(error)) from None

LABELS = LabelSet.from_config(config["labels"])
SUBJECTS = sorted(LISTING.subjects)
SEEDS = config["segmentation"]["seeds"]
GENERATORS = pivm_config.table_generators(config)
GENERATED = config["tables"]["generated"]
TABLES = ["table1", "table2", "table3"]
TABLE_FORMS = ["csv", "md", "tex", "html"]
# training set of the segmenter behind each column of Tables 2 and 3
COLUMNS = {
    "table2": {name: name for name in GENERATORS},
    "table3": {"original": "original", "generated": GENERATED, "combined": "combined"},
}
SETS = sorted({one for columns in COLUMNS.values() for one in columns.values()})
VOLUMES = f"{RESULTS}/synthesis/{GENERATED}/volumes"
# synthetic slices of test patients: for evaluation alone
TEST_SLICES = expand(
    f"{RESULTS}/synthesis/{{generator}}/test/{{name}}",
    generator=GENERATORS,
    name=["index.csv", "hu.npy"],
)

# One training at a time where there is a GPU; side by side on half the cores each where there is none.
ON_GPU = config["compute"]["device"] != "cpu" and shutil.which("nvidia-smi") is not None
GPUS = 1 if ON_GPU else 0
TRAINING_GPUS = GPUS and (
    gpus_of_this_node() if config["compute"]["devices"] == "all" else config["compute"]["devices"]
)


def stage_settings(*sections):
    """What a stage of MAISI depends on: its settings and those of the stages before, so that no later one reruns it."""

    def settings(wildcards):
        resolved = pivm_config.generator_settings(config, wildcards.generator)
        return {key: resolved[key] for key in ("name", *sections)}

    return settings


def training_threads(wildcards):
    cores = workflow.cores or 1
    return min(cores, 8) if ON_GPU else max(1, cores // 2)


def compute(*keys):
    """What of section `compute` can change the numbers of a job; its other keys reach a job without being params."""
    return {key: config["compute"][key] for key in ("device", "precision", *keys)}


# organ means by name -> the labels they know; the ablation (section 3.5) has generators that know fewer
PRIORS = {"prior": config["labels"]}
PRIORS |= {f"prior_{g['labels']}": g["labels"] for g in config["generators"].values() if "labels" in g}


def prior_of(wildcards):
    labels = config["generators"][wildcards.generator].get("labels")
    return f"{RESULTS}/prior_{labels}.json" if labels else f"{RESULTS}/prior.json"


def model_of(wildcards):
    folder = f"{RESULTS}/generators/{wildcards.generator}"
    return [f"{folder}/{name}" for name in ("model.safetensors", "model.json", "prior.json", "sampler.json")]


def generators_of(*kinds, released=False):
    """Wildcard constraint: generators of these kinds, with released weights or without."""
    chosen = [n for n, g in config["generators"].items() if g["kind"] in kinds and bool(g.get("weights")) == released]
    return "|".join(chosen) or "(?!)"


wildcard_constraints:
    prior="|".join(PRIORS),
    subject="[A-Za-z0-9][A-Za-z0-9._-]*",
    generator="|".join(config["generators"]),
    training_set="|".join(SETS),
    seed=r"\d+",
    table="|".join(COLUMNS),


def code(name, *modules):
    """Hash of the library code behind a script; see pivm.provenance.code_hash."""
    return code_hash.code_hash(SCRIPTS / f"{name}.py", SCRIPTS, *modules)


def generator_code(name):
    """The same for a script that works with the generator of the wildcard."""
    return lambda wildcards: code(name, KINDS[config["generators"][wildcards.generator]["kind"]][0])


def subject_files(wildcards):
    """What Snakemake watches of a subject; the phantom's files need not exist yet."""
    subject = LISTING.subjects[wildcards.subject]
    if DATASET.is_phantom:
        return [subject.ct, *(f"{subject.labels}/{organ}.nii.gz" for organ in LABELS.names)]
    return subject.inputs()


def per_subject(name):
    return expand(f"{RESULTS}/subjects/{{subject}}/{name}", subject=SUBJECTS)


def synthetic_part(wildcards):
    """The synthetic slices in a training set of the segmenter."""
    generator = {"original": None, "combined": GENERATED}.get(wildcards.training_set, wildcards.training_set)
    return (
        [f"{RESULTS}/synthesis/{generator}/slices/{f}" for f in ("hu.npy", "labels.npy", "index.csv")]
        if generator
        else []
    )
