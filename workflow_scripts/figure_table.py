"""A table as a plot: every patient as a point, the mean with its interval."""

import pandas as pd
from pivm.evaluation.cases import read_cases
from pivm.job import job
from pivm.report.table_figure import plot_table

with job(snakemake):
    tidy = pd.read_csv(snakemake.input.table)
    cases = read_cases(snakemake.input.cases)
    plot_table(tidy, cases, snakemake.wildcards.table, snakemake.params.confidence, snakemake.output[0])
