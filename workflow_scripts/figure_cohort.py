"""Draw the cohort: slices per scan, spacing, labels present, HU."""

from pathlib import Path

import pandas as pd
from pivm.job import job
from pivm.report.cohort_figure import plot_cohort
from pivm.slices import SliceStore, read_names

with job(snakemake):
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    plot_cohort(read_names(snakemake.input.selection), pd.read_csv(snakemake.input.labels), store, snakemake.output[0])
