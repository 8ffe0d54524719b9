"""One table of the paper in four forms, with its cases and paired differences beside it."""

import pandas as pd
from pivm.cohort.patient_csv import read_patient_csv
from pivm.evaluation.statistics import differences, summarise
from pivm.job import job
from pivm.report.tables import write_table

with job(snakemake):
    columns, options = dict(snakemake.params.columns), snakemake.params.tables
    frames = [
        read_patient_csv(path).assign(method=method)
        for method, path in zip(columns, snakemake.input.cases, strict=True)
    ]
    cases = pd.concat(frames, ignore_index=True)
    cases.insert(0, "method", cases.pop("method"))
    cases.to_csv(snakemake.output.cases, index=False)
    how = (options["metrics"], list(columns), options["confidence"], options["resamples"], snakemake.params.seed)
    tidy = summarise(cases, *how)
    differences(cases, *how).to_csv(snakemake.output.differences, index=False)
    write_table(tidy, cases, snakemake.wildcards.table, snakemake.params.weights, snakemake.output)
