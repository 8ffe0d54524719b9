"""A table as a plot: every patient as a point, the mean with its interval."""

import pandas as pd
from pivm.job import job
from pivm.report.figures import plot_table
from pivm.slices import read_names

with job(snakemake):
    tidy = pd.read_csv(snakemake.input.table)
    cases = read_names(snakemake.input.cases)
    plot_table(tidy, cases, snakemake.wildcards.table, snakemake.params.confidence, snakemake.output[0])
