"""Train an over-trained generator, which the privacy audit must find to copy."""

from pathlib import Path

from pivm.cohort.prior import Prior
from pivm.cohort.split import read_split, split_table
from pivm.cohort.store import SliceStore
from pivm.generators.overtrained import Overtraining, fit_overtrained, overtrained_split
from pivm.job import device, job, made, training_run
from pivm.learning.loop import Run
from pivm.synthesis.copies import require_validation

with job(snakemake):
    params, given = snakemake.params, snakemake.input
    store_files = [str(path) for path in given.store]
    store = SliceStore.checked(Path(store_files[0]).parent, read_split(given.split))
    require_validation(store)
    plan = Overtraining(**params.plan)
    split = overtrained_split(split_table(given.split), plan, params.seed)
    split.to_csv(snakemake.output.split, index=False)
    fit_overtrained(
        params.settings,
        plan,
        params.seed,
        store,
        split,
        (Path(given.split), store_files),
        Prior.load(given.prior),
        Path(snakemake.output.weights).parent,
        Run.of(**training_run(snakemake, f"privacy_{snakemake.wildcards.control}")),
        made(snakemake),
        device(snakemake),
    )
