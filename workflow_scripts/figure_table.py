"""A table as a plot: every patient as a point, the mean with its interval."""

import pandas as pd
from pivm.evaluation.cases import read_cases
from pivm.job import job
from pivm.report.table_figure import plot_table
from pivm.report.words import TableFacts, Words

with job(snakemake):
    tidy = pd.read_csv(snakemake.input.table)
    cases = read_cases(snakemake.input.cases)
    params = snakemake.params
    facts = TableFacts(params.confidence, "", words=Words.of(params.procedural))
    plot_table(tidy, cases, snakemake.wildcards.table, facts, params.generated, snakemake.output[0])
