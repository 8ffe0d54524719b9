"""Score slices generated from all labels and from fewer, and write the table (section 3.5 of the paper)."""

from functools import partial

from pivm.evaluation.paired import PairedSlices
from pivm.evaluation.region_fidelity import ABLATION_METRICS, score_regions
from pivm.evaluation.settings import TableSettings
from pivm.evaluation.statistics import summarise
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.forms import write_forms
from pivm.report.method_table import ablation_notes, paper_shape
from pivm.report.words import TableFacts, Words
from pivm.settings import read_settings

with job(snakemake):
    params, tables = snakemake.params, read_settings(TableSettings, snakemake.params.tables, "tables")
    pairs = PairedSlices.read(snakemake.input, params.runs)
    cases = score_regions(pairs, LabelSet.from_config(params.labels), tables.image_window)
    metrics = [m for m in ABLATION_METRICS if cases[m].notna().any()]
    methods = [method for method, _ in params.runs]
    summary = summarise(cases, metrics, methods, tables.confidence)
    cases.to_csv(snakemake.output.cases, index=False)
    summary.differences.to_csv(snakemake.output.differences, index=False)
    facts = TableFacts(tables.confidence, methods[0], baseline=True, words=Words.of(params.procedural))
    notes = ablation_notes(summary, tables.image_window, facts)
    shape = partial(paper_shape, summary, facts)
    write_forms(summary.tidy, shape, notes, "ablation", snakemake.output)
