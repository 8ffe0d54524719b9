"""HU and texture inside each organ: synthetic against real slices of test patients."""

from pathlib import Path

from pivm.evaluation.organ_intensity import compare_organ_intensity
from pivm.evaluation.organ_texture import compare_organ_texture
from pivm.evaluation.paired import PairedSlices
from pivm.evaluation.settings import TableSettings
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report import organ_texture_table
from pivm.report.organ_hu_table import markdown
from pivm.report.words import Words
from pivm.settings import read_settings

with job(snakemake):
    params, tables = snakemake.params, read_settings(TableSettings, snakemake.params.tables, "tables")
    pairs = PairedSlices.read(snakemake.input, params.runs, params.part)
    label_set, words = LabelSet.from_config(params.labels), Words.of(params.procedural)
    table = compare_organ_intensity(pairs, label_set, tables.confidence)
    table.to_csv(snakemake.output.csv, index=False)
    Path(snakemake.output.md).write_text(markdown(table, words), encoding="utf-8")
    texture = compare_organ_texture(pairs, label_set)
    texture.to_csv(snakemake.output.texture_csv, index=False)
    Path(snakemake.output.texture_md).write_text(organ_texture_table.markdown(texture, words), encoding="utf-8")
