# Config validation and names; no rule.
import atexit
import os
import sys
from pathlib import Path

from snakemake import cli as snakemake_cli
from snakemake.logging import logger

# not workflow.basedir, which is the folder workflow/ where workflow/Snakefile is run
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))

from pivm import config as pivm_config, errors
from pivm.config import ablation as pivm_ablation, evidence as pivm_evidence, privacy as pivm_privacy
from pivm.config.training_sets import judges, segmenter_settings as settings_of_set, training_sets
from pivm.config.data import check_data, has_subjects_without_ct, settle
from pivm.cohort.own_split import require_fitting
from pivm.datasets import Dataset, Listing
from pivm.evaluation import segmentation_metrics
from pivm.generators.kinds import MODEL_FILES
from pivm.generators.maisi.checkpoints import checkpoint_files
from pivm.job.failures import Failures
from pivm.job.killed import note_process, note_scheduler
from pivm.job import gpus_of_this_node, set_environment_of_jobs, require_no_braces, require_writable
from pivm.labels import ORGANS_34, LabelSet
from pivm.segmentation import nnunet as pivm_nnunet
from pivm.synthesis.export import Export
from pivm.provenance import code_hash
from pivm.provenance.reach import ALL, Library
from pivm.report.page.niivue import find_viewer
from pivm.report.page.static_files import content_hash, static_hash

set_environment_of_jobs(SCRIPTS)
flags = snakemake_cli.get_argument_parser().parse_known_args()[0]
note_process(workflow.is_main_process, flags.dryrun, flags.unlock)
FAILURES = Failures.watch(logger)


onerror:
    FAILURES.end()


onsuccess:
    if workflow.is_main_process:
        from pivm.report.verdict import last_words
        from pivm.report.words import Words

        words = Words.of(DATASET.layout.procedural)
        text = last_words(Path(RESULTS), GENERATED, config["tables"]["confidence"], words)
        # at the very end, below what Snakemake itself says of the run
        atexit.register(print, text, file=sys.stderr)


def refuse(error):
    """End with a message for people alone; of an exception Snakemake would also say where it was raised."""
    logger.error(f"Error: {error}")
    sys.exit(1)


try:
    pivm_config.validate(config)
    # of all generators, the one that the ablation derives included
    ENTRIES = pivm_ablation.generators(config)
    DATASET = Dataset(config["dataset"], config["datasets"][config["dataset"]])
    ARCHIVE = DATASET.to_fetch()
    LISTING = Listing() if ARCHIVE else DATASET.listing()
    settle(config, DATASET, LISTING)
    if not ARCHIVE:
        check_data(config, DATASET, LISTING)
    if config["split"]["source"] == "auto":
        require_fitting(LISTING.subjects, LISTING.split)
    RESULTS = f"{config['results']}/{DATASET.name}"
    roots = {f"datasets.{DATASET.name}.path": root for root in DATASET.roots}
    require_no_braces({"results": RESULTS, "the working directory": os.getcwd(), "the workflow": str(ROOT), **roots})
    require_writable(RESULTS)
    CHECKPOINTS = {n: checkpoint_files(g["weights"]) for n, g in ENTRIES.items() if g.get("weights")}
except (errors.PivmError, OSError) as error:
    refuse(error)

LABELS = LabelSet.from_config(config["labels"])
SUBJECTS = sorted(LISTING.subjects)
GENERATORS = pivm_config.table_generators(config)
GENERATED = config["tables"]["generated"]
# figures, volumes and exports show the first training of a generator
FIRST_SEED = config["generator_seeds"][0]
# patients that are scored -> prefix of the paths of their scores and tables; choices are made on the validation patients
COHORTS = {"": "test", "development/": "val"}
# rules files of the kinds that take more than one training
KIND_RULES = sorted({pivm_config.kind_named(config, name).rules for name in ENTRIES} - {"generators"})
TABLES = ["table1", "table2", "table3", "label_agreement"]
# Tables 2 and 3 on whole volumes at full resolution; target `volume_tables`
VOLUME_TABLES = ["table2_volumes", "table3_volumes"]
TABLE_FORMS = ["csv", "md", "tex", "html"]
# column of Tables 2 and 3 -> training sets of its segmenters, one for each training of the generator behind it
COLUMNS = {
    "table2": {name: training_sets(config, name) for name in GENERATORS},
    "table3": {
        column: training_sets(config, name)
        for column, name in (("original", "original"), ("generated", GENERATED), ("combined", "combined"))
    },
}
SETS = {one.folder: one for columns in COLUMNS.values() for sets in columns.values() for one in sets}
# segmenters that judge synthetic slices, where a gate is asked for
JUDGES = judges(config)
# all of them, with those of the evidence in every draw of annotated patients
ALL_SETS = SETS | {one.folder: one for one in JUDGES}
ALL_SETS |= {one.folder: one for sets in pivm_evidence.arms(config).values() for one in sets}
# synthetic slices of the tables, and of each source of label maps alone for the evidence -> how they are made
RECIPES = pivm_evidence.recipes(config)
EVIDENCE_DRAWS = pivm_evidence.draws(config)
EVIDENCE_POINTS = pivm_evidence.points(config, has_subjects_without_ct(LISTING))
# how the test slices are shown -> suffix of the scores
EVIDENCE_TESTS = pivm_evidence.tests(config)
# modules of the metrics, which are found by name: part of the code behind scores and tables
SEGMENTATION_METRICS = [
    f"pivm.evaluation.segmentation_metrics.{key}" for key in segmentation_metrics.SEGMENTATION_METRICS
]
IMAGE_METRICS = [f"pivm.evaluation.image_metrics.{key}" for key in pivm_config.image_metrics(config)]
VOLUMES = f"{RESULTS}/synthesis/{GENERATED}/seed_{FIRST_SEED}/volumes"
# training set of Table 3 -> nnU-Net's data set of it; target `nnunet`
NNUNET_DATASETS = pivm_nnunet.dataset_names(config["nnunet"]["dataset_id"], DATASET.name)
NNUNET_MODEL = pivm_nnunet.model_folder(
    Path(f"{RESULTS}/nnunet/seed_{{segmenter_seed}}"), "{nnunet_dataset}", config["nnunet"]["trainer"]
)
# tables whose scores are of whole volumes
WHOLE_VOLUMES = [*VOLUME_TABLES, "nnunet"]
# table -> column -> folders of its scores; those on whole volumes have the columns of Tables 2 and 3
SCORES = {
    table: {name: [one.folder for one in sets] for name, sets in COLUMNS[table.removesuffix("_volumes")].items()}
    for table in [*COLUMNS, *VOLUME_TABLES]
}
# the segmenters of `original` on slices of held-out patients and on synthetic slices of the same label maps
SCORES["label_agreement"] = {"original": ["agreement/original"]}
SCORES["label_agreement"] |= {
    name: [f"agreement/{name}/seed_{seed}" for seed in pivm_config.generator_seeds(config, name)]
    for name in config["tables"]["generators"]
}
# tables that have scores for each organ
ORGAN_TABLES = [*COLUMNS, "label_agreement"]
# ours, then nnU-Net's
SCORES["nnunet"] = {name: folders[:1] for name, folders in SCORES["table3"].items()}
SCORES["nnunet"] |= {f"nnunet_{part}": [f"nnunet/{part}"] for part in NNUNET_DATASETS}
# what is exported -> its part and form
EXPORTS = {f"{part}_totalsegmentator": Export(part, "totalsegmentator") for part in NNUNET_DATASETS}
EXPORTS |= {f"nnUNet_raw/{name}": Export(part, "nnunet") for part, name in NNUNET_DATASETS.items()}


# every training of every generator, and the first of each
RUNS = [(name, seed) for name in GENERATORS for seed in pivm_config.generator_seeds(config, name)]
FIRST_RUNS = [(name, FIRST_SEED) for name in GENERATORS]


def untracked(value):
    """A param whose change reruns nothing, as it changes no number: Snakemake leaves params out of its rerun triggers
    when a function of more than the wildcards makes them."""
    return lambda wildcards, input: value


# what of section `compute` changes numbers, and how a job uses this machine
COMPUTE = {key: config["compute"][key] for key in ("device", "precision", "threads")}
MACHINE = untracked({key: value for key, value in config["compute"].items() if key not in COMPUTE})


def label_subset(generator):
    """Suffix of the organ means of a generator that knows fewer labels than the run (section 3.5)."""
    labels = pivm_config.known_labels(config, generator)
    return f"_{labels}" if labels else ""


# suffix of the organ means -> the labels they know
KNOWN_LABELS = {"": config["labels"]}
KNOWN_LABELS |= {label_subset(n): pivm_config.known_labels(config, n) or config["labels"] for n in ENTRIES}


wildcard_constraints:
    # in brackets, here and below: an empty constraint would be none
    subset=f"({'|'.join(KNOWN_LABELS)})",
    subject="[A-Za-z0-9][A-Za-z0-9._-]*",
    cohort="|".join(COHORTS),
    draw=f"({'|'.join(['', *filter(None, EVIDENCE_DRAWS)])})",
    recipe="|".join(RECIPES),
    generator="|".join(ENTRIES),
    generator_seed=r"\d+",
    training_set="|".join(ALL_SETS),
    segmenter_seed=r"\d+",
    test=f"({'|'.join(EVIDENCE_TESTS.values())})",
    nnunet_dataset="|".join(NNUNET_DATASETS.values()),
    table="|".join(SCORES),
