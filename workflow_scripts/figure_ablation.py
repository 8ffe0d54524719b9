"""Real slices beside those generated from all labels and from fewer (Fig. 6 of the paper)."""

from pathlib import Path

from pivm.cohort import read_split
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.prior import Prior
from pivm.report.ablation import plot_ablation
from pivm.slices import SliceStore

with job(snakemake):
    methods = snakemake.params.methods
    places = [Path(p).parent for p in snakemake.input.synthetic if p.endswith(".npy")]
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    pairs = PairedSlices.load(store, read_split(snakemake.input.split), dict(zip(methods, places, strict=True)))
    priors = {m: Prior.load(path) for m, path in zip(methods, snakemake.input.priors, strict=True)}
    plot_ablation(pairs, priors, snakemake.output[0])
