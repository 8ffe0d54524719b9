"""One table of the paper in four forms, with its cases and paired differences beside it."""

import pandas as pd
from pivm.evaluation.cases import read_cases
from pivm.evaluation.settings import TableSettings
from pivm.evaluation.statistics import summarise, summarise_organs
from pivm.job import job
from pivm.report.method_table import agreement_note, write_table
from pivm.report.words import TableFacts, Words
from pivm.settings import read_settings

with job(snakemake):
    params, tables = snakemake.params, read_settings(TableSettings, snakemake.params.tables, "tables")
    frames = [
        read_cases(path).assign(method=method)
        for method, path in zip(params.methods, snakemake.input.cases, strict=True)
    ]
    cases = pd.concat(frames, ignore_index=True)
    cases.insert(0, "method", cases.pop("method"))
    methods = list(dict.fromkeys(params.methods))
    summary = summarise(cases, tables.metrics, methods, tables.confidence)
    cases.to_csv(snakemake.output.cases, index=False)
    summary.differences.to_csv(snakemake.output.differences, index=False)
    summary.variances.to_csv(snakemake.output.variances, index=False)
    organs = summarise_organs(cases, tables.metrics, methods, tables.confidence)
    organs.to_csv(snakemake.output.organs, index=False)
    words, real = Words.of(params.procedural), params.reference == "original"
    facts = TableFacts(tables.confidence, params.reference, real, words, params.weights)
    notes = [agreement_note(cases, words)] if snakemake.wildcards.table == "label_agreement" else []
    write_table(summary, snakemake.wildcards.table, facts, snakemake.output, notes)
