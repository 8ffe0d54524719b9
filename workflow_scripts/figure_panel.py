"""Real, prior, variation and synthetic slices side by side (Figs. 3 and 4 of the paper)."""

from pathlib import Path

from pivm.job import job
from pivm.prior import Prior
from pivm.report.figures import plot_panel
from pivm.slices import SliceStore

with job(snakemake):
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    folders = {name: Path(snakemake.params.synthesis) / name / "slices" for name in snakemake.params.generators}
    plot_panel(store, Prior.load(snakemake.input.prior), folders, snakemake.output[0])
