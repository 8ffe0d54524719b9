"""Real slices beside those generated from all labels and from fewer (Fig. 6 of the paper)."""

from pivm.cohort.prior import Prior
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.report.ablation_figure import plot_ablation

with job(snakemake):
    methods = snakemake.params.methods
    pairs = PairedSlices.read(snakemake.input, methods)
    priors = {m: Prior.load(path) for m, path in zip(methods, snakemake.input.priors, strict=True)}
    plot_ablation(pairs, priors, snakemake.output[0])
