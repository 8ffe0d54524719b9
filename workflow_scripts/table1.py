"""Table 1 in four forms, with its cases, paired differences and the floor of real slices beside it."""

import pandas as pd
from pivm.cohort.patient_csv import read_patient_csv
from pivm.evaluation.metrics import REAL, distance_metric, extractor_name
from pivm.evaluation.statistics import differences, summarise
from pivm.job import job
from pivm.report.table1 import pooled_rows, write_table1

with job(snakemake):
    options, seed = snakemake.params.tables, snakemake.params.seed
    cases, floor = (read_patient_csv(p).assign(seed=seed) for p in (snakemake.input.cases, snakemake.input.floor))
    pooled = pooled_rows(pd.read_csv(snakemake.input.kid, dtype={"without": str}), options["confidence"])
    extractor = extractor_name(options["extractor"])
    distance, methods = distance_metric(extractor), list(snakemake.params.generators)
    how = (options["confidence"], options["resamples"], seed)
    metrics = ["ssim", distance, "ssim_body"]
    is_floor = pooled["method"] == REAL
    tidy = pd.concat([summarise(cases, metrics, methods, *how), pooled[~is_floor]], ignore_index=True)
    real = pd.concat([summarise(floor, [distance], [REAL], *how), pooled[is_floor]], ignore_index=True)
    cases.to_csv(snakemake.output.cases, index=False)
    real.to_csv(snakemake.output.floor, index=False)
    differences(cases, metrics, methods, *how).to_csv(snakemake.output.differences, index=False)
    how = (options["image_window"], extractor, options["confidence"], snakemake.params.weights)
    write_table1(tidy, cases, real, *how, snakemake.output)
