"""Real, labels and every generator's slice of test patients, with a zoomed detail (Fig. 4 of the paper)."""

from pivm.cohort.prior import Prior
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.report.words import Words
from pivm.report.zoom import plot_zoom

with job(snakemake):
    params, prior = snakemake.params, Prior.load(snakemake.input.prior)
    pairs = PairedSlices.read(snakemake.input, params.runs, params.part)
    plot_zoom(pairs, prior, tuple(params.window), Words.of(params.procedural), snakemake.output[0])
