"""HU inside each organ: synthetic against real slices of test patients."""

from pathlib import Path

from pivm.cohort import read_split
from pivm.evaluation.hu_fidelity import hu_fidelity
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.hu_fidelity import markdown
from pivm.slices import SliceStore

with job(snakemake):
    places = [Path(p).parent for p in snakemake.input.synthetic if p.endswith(".npy")]
    folders = dict(zip(snakemake.params.generators, places, strict=True))
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    pairs = PairedSlices.load(store, read_split(snakemake.input.split), folders)
    table = hu_fidelity(pairs, LabelSet.from_config(snakemake.params.labels))
    table.to_csv(snakemake.output.csv, index=False)
    Path(snakemake.output.md).write_text(markdown(table))
