"""Real slices beside those generated from all labels and from fewer (Fig. 6 of the paper)."""

from pivm.cohort.prior import Prior
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.report.ablation_figure import plot_ablation
from pivm.report.words import Words

with job(snakemake):
    runs = snakemake.params.runs
    pairs = PairedSlices.read(snakemake.input, runs)
    priors = {method: Prior.load(path) for (method, _), path in zip(runs, snakemake.input.priors, strict=True)}
    words = Words.of(snakemake.params.procedural)
    plot_ablation(pairs, priors, tuple(snakemake.params.window), words, snakemake.output[0])
