"""HU inside each organ: synthetic against real slices of test patients."""

from pathlib import Path

from pivm.evaluation.organ_intensity import compare_organ_intensity
from pivm.evaluation.paired import PairedSlices
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.organ_hu_table import markdown

with job(snakemake):
    pairs = PairedSlices.read(snakemake.input, snakemake.params.generators)
    table = compare_organ_intensity(pairs, LabelSet.from_config(snakemake.params.labels))
    table.to_csv(snakemake.output.csv, index=False)
    Path(snakemake.output.md).write_text(markdown(table), encoding="utf-8")
