"""Draw the cohort: slices per scan, spacing, labels present, HU."""

from pathlib import Path

import pandas as pd
from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.store import SliceStore
from pivm.job import job
from pivm.report.cohort_figure import plot_cohort
from pivm.report.words import Words

with job(snakemake):
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    selection, labels = read_patient_csv(snakemake.input.selection), pd.read_csv(snakemake.input.labels)
    plot_cohort(selection, labels, store, Words.of(snakemake.params.procedural), snakemake.output[0])
