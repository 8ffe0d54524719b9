"""HU inside each organ: synthetic against real slices of test patients."""

from pathlib import Path

from pivm.evaluation.organ_intensity import compare_organ_intensity
from pivm.evaluation.paired import PairedSlices
from pivm.evaluation.settings import TableSettings
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.organ_hu_table import markdown
from pivm.report.words import Words
from pivm.settings import read_settings

with job(snakemake):
    params, tables = snakemake.params, read_settings(TableSettings, snakemake.params.tables, "tables")
    pairs = PairedSlices.read(snakemake.input, params.runs, params.part)
    table = compare_organ_intensity(pairs, LabelSet.from_config(params.labels), tables.confidence)
    table.to_csv(snakemake.output.csv, index=False)
    Path(snakemake.output.md).write_text(markdown(table, Words.of(params.procedural)), encoding="utf-8")
