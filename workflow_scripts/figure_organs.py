"""The scores of Table 2 or 3 for each organ."""

import pandas as pd
from pivm.job import job
from pivm.report.organ_scores_figure import plot_organ_scores

with job(snakemake):
    organs = pd.read_csv(snakemake.input.organs)
    plot_organ_scores(organs, snakemake.wildcards.table, snakemake.params.confidence, snakemake.output[0])
