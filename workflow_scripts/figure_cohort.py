"""Draw the cohort: slices per scan, spacing, labels present, HU."""

from pathlib import Path

import pandas as pd
from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.store import SliceStore
from pivm.job import job
from pivm.report.cohort_figure import plot_cohort

with job(snakemake):
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    plot_cohort(
        read_patient_csv(snakemake.input.selection), pd.read_csv(snakemake.input.labels), store, snakemake.output[0]
    )
