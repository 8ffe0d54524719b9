"""Real, labels and every generator's slice of test patients, with a zoomed detail (Fig. 4 of the paper)."""

from pivm.cohort.prior import Prior
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.report.zoom import plot_zoom

with job(snakemake):
    pairs = PairedSlices.read(snakemake.input, snakemake.params.runs, snakemake.params.part)
    plot_zoom(pairs, Prior.load(snakemake.input.prior), snakemake.output[0])
