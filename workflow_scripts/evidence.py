"""The table and the figure of the evidence."""

import pandas as pd
from pivm.cohort.split import require_different, split_table
from pivm.evaluation.cases import read_cases
from pivm.evaluation.evidence import evidence_table
from pivm.job import job
from pivm.report.evidence_figure import plot_evidence
from pivm.report.evidence_table import write_evidence
from pivm.report.words import Words
from pivm.segmentation.arms import REFERENCE
from pivm.segmentation.other_scanner import ShiftSettings
from pivm.settings import read_settings

with job(snakemake):
    params = snakemake.params
    splits = [split_table(path) for path in snakemake.input.splits]
    require_different(splits[0], params.patients)
    annotated = [split.loc[split["split"] == "train", "patient"].nunique() for split in splits]
    frames = [
        read_cases(path).assign(test=test, method=arm, steps=steps, annotated=annotated[draw])
        for path, (test, draw, steps, arm) in zip(snakemake.input.cases, params.points, strict=True)
    ]
    cases = pd.concat(frames, ignore_index=True)
    table = evidence_table(cases, REFERENCE, params.confidence)
    cases.to_csv(snakemake.output.cases, index=False)
    words = Words.of(params.procedural)
    shifted = read_settings(ShiftSettings, params.shifted, "evidence.shifted") if params.shifted else None
    write_evidence(table, params.confidence, words, shifted, snakemake.output)
    plot_evidence(table, params.confidence, words, snakemake.output.figure)
