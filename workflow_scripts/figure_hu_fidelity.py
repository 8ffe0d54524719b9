"""HU of the main organs in real and synthetic slices of the same label maps."""

import pandas as pd
from pivm.job import job
from pivm.report.organ_hu_figure import plot_hu_fidelity

with job(snakemake):
    plot_hu_fidelity(pd.read_csv(snakemake.input.table), snakemake.output[0])
