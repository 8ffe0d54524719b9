"""The scores of Table 2 or 3 for each organ."""

import pandas as pd
from pivm.job import job
from pivm.report.organ_scores_figure import plot_organ_scores
from pivm.report.words import Words

with job(snakemake):
    organs = pd.read_csv(snakemake.input.organs)
    params, table = snakemake.params, snakemake.wildcards.table
    words = Words.of(params.procedural)
    plot_organ_scores(organs, table, params.confidence, words, params.generated, snakemake.output[0])
