"""HU of the main organs in real and synthetic slices of the same label maps."""

import pandas as pd
from pivm.job import job
from pivm.report.organ_hu_figure import plot_hu_fidelity
from pivm.report.words import Words

with job(snakemake):
    words = Words.of(snakemake.params.procedural)
    plot_hu_fidelity(pd.read_csv(snakemake.input.table), words, snakemake.output[0])
