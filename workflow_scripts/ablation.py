"""Score slices generated from all labels and from fewer, and write the table (section 3.5 of the paper)."""

from functools import partial

from pivm.evaluation.ablation import METRICS, score_ablation
from pivm.evaluation.paired import PairedSlices
from pivm.evaluation.statistics import differences, summarise
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.forms import write_forms
from pivm.report.tables import ablation_note, paper_shape

with job(snakemake):
    params, options = snakemake.params, snakemake.params.tables
    pairs = PairedSlices.read(snakemake.input, params.methods)
    cases = score_ablation(pairs, LabelSet.from_config(params.labels), options["image_window"], params.seed)
    metrics = [m for m in METRICS if cases[m].notna().any()]
    how = (metrics, list(params.methods), options["confidence"], options["resamples"], params.seed)
    tidy = summarise(cases, *how)
    cases.to_csv(snakemake.output.cases, index=False)
    differences(cases, *how).to_csv(snakemake.output.differences, index=False)
    write_forms(tidy, partial(paper_shape, tidy), ablation_note(tidy, options), "ablation", snakemake.output)
