"""Score slices generated from all labels and from fewer, and write the table (section 3.5 of the paper)."""

from functools import partial
from pathlib import Path

from pivm.cohort import read_split
from pivm.evaluation.ablation import METRICS, score_ablation
from pivm.evaluation.paired import PairedSlices
from pivm.evaluation.statistics import differences, summarise
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.forms import write_forms
from pivm.report.tables import ablation_note, paper_shape
from pivm.slices import SliceStore

with job(snakemake):
    params, options = snakemake.params, snakemake.params.tables
    places = [Path(p).parent for p in snakemake.input.synthetic if p.endswith(".npy")]
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    pairs = PairedSlices.load(store, read_split(snakemake.input.split), dict(zip(params.methods, places, strict=True)))
    cases = score_ablation(pairs, LabelSet.from_config(params.labels), options["image_window"], params.seed)
    metrics = [m for m in METRICS if cases[m].notna().any()]
    how = (metrics, list(params.methods), options["confidence"], options["resamples"], params.seed)
    tidy = summarise(cases, *how)
    cases.to_csv(snakemake.output.cases, index=False)
    differences(cases, *how).to_csv(snakemake.output.differences, index=False)
    write_forms(tidy, partial(paper_shape, tidy), ablation_note(tidy, options), "ablation", snakemake.output)
