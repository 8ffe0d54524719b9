"""Verify one scan and cut its standardised slices; a scan that cannot be used gives its reason instead."""

from pathlib import Path

import numpy as np
from pivm.job import job, log
from pivm.labels import LabelSet
from pivm.slices import ARRAYS, prepare_subject

with job(snakemake):
    record, arrays, rows = prepare_subject(
        snakemake.wildcards.subject,
        Path(snakemake.input.ct[0]) if snakemake.input.ct else None,
        {Path(p).name.removesuffix(".nii.gz"): Path(p) for p in snakemake.input.masks},
        LabelSet.from_config(snakemake.params.labels),
        snakemake.params.size,
        snakemake.params.selection,
    )
    if record.reason:
        log.warning("%s set aside: %s", record.subject, record.reason)
    for name in ARRAYS:
        np.save(snakemake.output[name], arrays[name])
    rows.to_csv(snakemake.output.rows, index=False)
    record.save(snakemake.output.record)
