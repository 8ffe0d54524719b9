"""The page of the run: verdict, tables, slices, volumes and all that stands behind them, for a browser."""

from pathlib import Path

from pivm.datasets.listing import Subject
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.page.build import write_page
from pivm.report.page.facts import PageRun

with job(snakemake):
    params = snakemake.params
    run = PageRun(
        results=Path(snakemake.output[0]).parent,
        dataset=params.dataset,
        procedural=params.procedural,
        generators=params.generators,
        generated=params.generated,
        references=params.references,
        seed=params.seed,
        labels=LabelSet.from_config(params.labels).names,
        level=params.confidence,
        subjects={name: Subject(**subject) for name, subject in params.subjects.items()},
    )
    write_page(run, Path(snakemake.output[0]), next(iter(snakemake.input.viewer), None))
