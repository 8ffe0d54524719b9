"""HU inside each organ: synthetic against real slices of test patients."""

from pathlib import Path

from pivm.evaluation.hu_fidelity import hu_fidelity
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.organ_hu import markdown

with job(snakemake):
    pairs = PairedSlices.read(snakemake.input, snakemake.params.generators)
    table = hu_fidelity(pairs, LabelSet.from_config(snakemake.params.labels))
    table.to_csv(snakemake.output.csv, index=False)
    Path(snakemake.output.md).write_text(markdown(table))
