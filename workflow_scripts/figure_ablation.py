"""Real slices beside those generated from all labels and from fewer (Fig. 6 of the paper)."""

from pivm.cohort.prior import Prior
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.report.ablation_figure import plot_ablation

with job(snakemake):
    runs = snakemake.params.runs
    pairs = PairedSlices.read(snakemake.input, runs)
    priors = {method: Prior.load(path) for (method, _), path in zip(runs, snakemake.input.priors, strict=True)}
    plot_ablation(pairs, priors, snakemake.output[0])
