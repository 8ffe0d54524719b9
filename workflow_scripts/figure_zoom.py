"""Real, labels and every generator's slice of test patients, with a zoomed detail (Fig. 4 of the paper)."""

from pathlib import Path

from pivm.cohort import read_split
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.prior import Prior
from pivm.report.zoom import plot_zoom
from pivm.slices import SliceStore

with job(snakemake):
    places = [Path(p).parent for p in snakemake.input.synthetic if p.endswith(".npy")]
    folders = dict(zip(snakemake.params.generators, places, strict=True))
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    pairs = PairedSlices.load(store, read_split(snakemake.input.split), folders)
    plot_zoom(pairs, Prior.load(snakemake.input.prior), snakemake.output[0])
