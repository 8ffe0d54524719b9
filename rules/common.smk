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

from pivm import config as pivm_config, errors
from pivm.cohort.own_split import require_fitting
from pivm.datasets import Dataset, Listing
from pivm.evaluation import segmentation_metrics
from pivm.generators.maisi.checkpoints import checkpoint_files
from pivm.job import gpus_of_this_node, put_library_first, require_no_braces, require_writable
from pivm.labels import ORGANS_34, LabelSet
from pivm.provenance import code_hash
from pivm.provenance.reach import ALL, Library

put_library_first(SCRIPTS)
# jobs open paths and write tables in UTF-8, whatever the locale says
os.environ["PYTHONUTF8"] = "1"

try:
    pivm_config.validate(config)
    DATASET = Dataset(config["dataset"], config["datasets"][config["dataset"]])
    ARCHIVE = DATASET.to_fetch()
    LISTING = Listing() if ARCHIVE else DATASET.listing()
    if config["split"]["source"] == "auto":
        require_fitting(LISTING.subjects, LISTING.split)
    RESULTS = f"{config['results']}/{DATASET.name}"
    roots = {f"datasets.{DATASET.name}.path": root for root in DATASET.roots}
    require_no_braces({"results": RESULTS, "the working directory": os.getcwd(), "the workflow": str(ROOT), **roots})
    require_writable(RESULTS)
    CHECKPOINTS = {n: checkpoint_files(g["weights"]) for n, g in config["generators"].items() if g.get("weights")}
except (errors.PivmError, OSError) as error:
    raise WorkflowError(str(error)) from None

LABELS = LabelSet.from_config(config["labels"])
SUBJECTS = sorted(LISTING.subjects)
SEEDS = config["segmentation"]["seeds"]
GENERATORS = pivm_config.table_generators(config)
GENERATED = config["tables"]["generated"]
# rules files of the kinds that take more than one training
KIND_RULES = sorted({pivm_config.kind_named(config, name).rules for name in config["generators"]} - {"generators"})
TABLES = ["table1", "table2", "table3"]
TABLE_FORMS = ["csv", "md", "tex", "html"]
# training set of the segmenter behind each column of Tables 2 and 3
COLUMNS = {
    "table2": {name: name for name in GENERATORS},
    "table3": {"original": "original", "generated": GENERATED, "combined": "combined"},
}
SETS = sorted({one for columns in COLUMNS.values() for one in columns.values()})
# modules of the metrics, which are found by name: part of the code behind scores and tables
SEGMENTATION_METRICS = [
    f"pivm.evaluation.segmentation_metrics.{key}" for key in segmentation_metrics.SEGMENTATION_METRICS
]
IMAGE_METRICS = [f"pivm.evaluation.image_metrics.{key}" for key in pivm_config.image_metrics(config)]
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
        settings = pivm_config.training_settings(config, wildcards.generator)
        return {key: settings[key] for key in ("name", "kind", *sections)}

    return settings


def training_threads(wildcards):
    cores = workflow.cores or 1
    return min(cores, 8) if ON_GPU else max(1, cores // 2)


def untracked(value):
    """A param whose change reruns nothing, as it changes no number: Snakemake leaves params out of its rerun triggers
    when a function of more than the wildcards makes them."""
    return lambda wildcards, input: value


def ddpm_batch(wildcards):
    """The batch of inference where it counts: the sampler `ddpm` draws the noise of its steps for a batch as a whole."""
    sampler = pivm_config.sampler_settings(config, wildcards.generator)
    return config["synthesis"]["batch"] if sampler.get("name") == "ddpm" else None


# what of section `compute` changes numbers, and how a job uses this machine
COMPUTE = {key: config["compute"][key] for key in ("device", "precision")}
MACHINE = untracked({key: value for key, value in config["compute"].items() if key not in COMPUTE})


def segmenter_settings(wildcards):
    """What the weights of a segmenter depend on."""
    unused = {"seeds", "test_batch"}
    if wildcards.training_set not in ("original", "combined"):
        unused.add("real_slices")
    return {key: value for key, value in config["segmentation"].items() if key not in unused}


def label_subset(generator):
    """Suffix of the organ means of a generator that knows fewer labels than the run (section 3.5)."""
    labels = pivm_config.known_labels(config, generator)
    return f"_{labels}" if labels else ""


# suffix of the organ means -> the labels they know
KNOWN_LABELS = {"": config["labels"]}
KNOWN_LABELS |= {label_subset(n): pivm_config.known_labels(config, n) or config["labels"] for n in config["generators"]}


def prior_of(wildcards):
    return f"{RESULTS}/prior{label_subset(wildcards.generator)}.json"


def model_of(wildcards):
    folder = f"{RESULTS}/generators/{wildcards.generator}"
    return [f"{folder}/{name}" for name in ("model.safetensors", "model.json", "prior.json", "sampler.json")]


def generators_of(rules, released=False):
    """Wildcard constraint: generators whose kind is trained by rules/<rules>.smk, with released weights or without."""
    kinds = {n: pivm_config.kind_named(config, n) for n in config["generators"]}
    chosen = [n for n, kind in kinds.items() if kind.rules == rules and (n in CHECKPOINTS) == released]
    return "|".join(chosen) or "(?!)"


wildcard_constraints:
    subset="|".join(KNOWN_LABELS),
    subject="[A-Za-z0-9][A-Za-z0-9._-]*",
    generator="|".join(config["generators"]),
    training_set="|".join(SETS),
    seed=r"\d+",
    table="|".join(COLUMNS),


LIBRARY = Library(SCRIPTS)
PINS = code_hash.read_pins(ROOT / "envs/requirements.lock")


def code(name, *found):
    """Hash of the code and the package versions behind a script; see pivm.provenance.code_hash.

    `found` are modules, or (module, definition), that the script finds by name.
    """
    symbols = [(symbol, ALL) if isinstance(symbol, str) else symbol for symbol in found]
    return code_hash.code_hash(name, LIBRARY, PINS, symbols)


def generator_code(name, *found):
    """The same for a script that works with the generator of the wildcard."""
    return lambda wildcards: code(
        name, tuple(pivm_config.kind_named(config, wildcards.generator).implementation.split(":")), *found
    )


def table_forms(table, caption):
    """The four forms of a table as outputs of a rule; CSV and HTML are in the report.

    `table` is a name or a wildcard.
    """
    forms = {form: f"{RESULTS}/tables/{table}.{form}" for form in TABLE_FORMS}
    for form, title in (("csv", "tidy CSV"), ("html", "as in the paper")):
        forms[form] = report(forms[form], caption=caption, category="Tables", labels={"table": table, "form": title})
    return forms


def subject_files(wildcards):
    """What Snakemake watches of a subject; the files of a subject that the workflow makes need not exist yet."""
    return DATASET.layout.watched(LISTING.subjects[wildcards.subject])


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
