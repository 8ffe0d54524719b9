"""Score slices generated from all labels and from fewer, and write the table (section 3.5 of the paper)."""

from functools import partial

from pivm.evaluation.paired import PairedSlices
from pivm.evaluation.region_fidelity import ABLATION_METRICS, score_regions
from pivm.evaluation.settings import TableSettings
from pivm.evaluation.statistics import Bootstrap, summarise
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.forms import write_forms
from pivm.report.method_table import ablation_note, paper_shape
from pivm.settings import read_settings

with job(snakemake):
    params, tables = snakemake.params, read_settings(TableSettings, snakemake.params.tables, "tables")
    pairs = PairedSlices.read(snakemake.input, params.methods)
    cases = score_regions(pairs, LabelSet.from_config(params.labels), tables.image_window, params.seed)
    metrics = [m for m in ABLATION_METRICS if cases[m].notna().any()]
    bootstrap = Bootstrap(tables.confidence, tables.resamples, params.seed)
    tidy, differences = summarise(cases, metrics, params.methods, bootstrap)
    cases.to_csv(snakemake.output.cases, index=False)
    differences.to_csv(snakemake.output.differences, index=False)
    note = ablation_note(tidy, tables.image_window, tables.confidence)
    write_forms(tidy, partial(paper_shape, tidy), note, "ablation", snakemake.output)
