"""The label maps of subjects whose labels alone serve, as a store that synthetic slices are made from."""

from pathlib import Path

from pivm.cohort.split import read_split, split_table
from pivm.cohort.store import LabelStore, SliceStore
from pivm.job import job
from pivm.synthesis.label_sources import labels_alone

with job(snakemake):
    given = snakemake.input
    store = SliceStore(Path(given.store[0]).parent, read_split(given.split))
    subjects = {Path(path).parent.name: Path(path).parent for path in given.records}
    parts = labels_alone(store, split_table(given.split), subjects, snakemake.params.required)
    LabelStore.write(Path(snakemake.output.index).parent, parts, store.size)
