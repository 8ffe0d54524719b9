"""Real, prior, variation and synthetic slices side by side (Figs. 3 and 4 of the paper)."""

from pathlib import Path

from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.job import job
from pivm.report.panel import plot_panel
from pivm.report.words import Words

with job(snakemake):
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    places = [Path(p).parent for p in snakemake.input.synthetic if p.endswith(".npy")]
    folders = dict(zip(snakemake.params.generators, places, strict=True))
    words = Words.of(snakemake.params.procedural)
    plot_panel(store, Prior.load(snakemake.input.prior), folders, words, snakemake.output[0])
