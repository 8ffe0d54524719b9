"""Concatenate the slices of all selected patients into the memory-mapped store."""

from pathlib import Path

import pandas as pd
from pivm.cohort.record import SubjectRecord
from pivm.cohort.split import WITHOUT_CT, split_table
from pivm.cohort.store import SliceStore
from pivm.job import job

with job(snakemake):
    folders = {Path(p).parent.name: Path(p).parent for p in snakemake.input.records}
    parts = []
    split = split_table(snakemake.input.split)
    for scan in split[split["source"] != WITHOUT_CT].itertuples():
        folder = folders[scan.subject]
        record = SubjectRecord.load(folder / "record.json")
        rows = record.indexed(pd.read_csv(folder / "rows.csv"), scan.patient, scan.split)
        parts.append((rows, {name: folder / f"{name}.npy" for name in SliceStore.ARRAYS}))
    SliceStore.write(Path(snakemake.output.index).parent, parts, snakemake.params.size)
