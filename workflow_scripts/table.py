"""One table of the paper in four forms, with its cases and paired differences beside it."""

import pandas as pd
from pivm.cohort.patient_csv import read_patient_csv
from pivm.evaluation.settings import TableSettings
from pivm.evaluation.statistics import Bootstrap, summarise
from pivm.job import job
from pivm.report.method_table import write_table
from pivm.settings import read_settings

with job(snakemake):
    params, tables = snakemake.params, read_settings(TableSettings, snakemake.params.tables, "tables")
    frames = [
        read_patient_csv(path).assign(method=method)
        for method, path in zip(params.columns, snakemake.input.cases, strict=True)
    ]
    cases = pd.concat(frames, ignore_index=True)
    cases.insert(0, "method", cases.pop("method"))
    bootstrap = Bootstrap(tables.confidence, tables.resamples, params.seed)
    tidy, differences = summarise(cases, tables.metrics, list(params.columns), bootstrap)
    cases.to_csv(snakemake.output.cases, index=False)
    differences.to_csv(snakemake.output.differences, index=False)
    write_table(tidy, cases, snakemake.wildcards.table, params.weights, snakemake.output)
