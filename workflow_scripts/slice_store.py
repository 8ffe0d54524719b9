"""Concatenate the slices of all selected patients into the memory-mapped store."""

from pathlib import Path

import pandas as pd
from pivm.cohort.record import SubjectRecord
from pivm.cohort.split import split_table
from pivm.cohort.store import ARRAYS, write_store
from pivm.job import job

with job(snakemake):
    folders = {Path(p).parent.name: Path(p).parent for p in snakemake.input.records}
    parts = []
    for scan in split_table(snakemake.input.split).itertuples():
        folder = folders[scan.subject]
        record = SubjectRecord.load(folder / "record.json")
        rows = pd.read_csv(folder / "rows.csv")
        for place, name in enumerate(("subject", "patient", "split")):
            rows.insert(place, name, getattr(scan, name))
        rows["pixel_mm"], rows["step_mm"], rows["below_mm"] = record.pixel_mm, record.step_mm, record.spacing[2]
        parts.append((rows, {name: folder / f"{name}.npy" for name in ARRAYS}))
    write_store(Path(snakemake.output.index).parent, parts, snakemake.params.size)
