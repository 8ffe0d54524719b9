"""Verify one subject and cut its standardised slices; one that cannot be used gives its reason instead."""

import numpy as np
from pivm.cohort.preparation import prepare_subject
from pivm.cohort.selection import SelectionSettings
from pivm.cohort.store import SliceStore
from pivm.datasets.listing import Subject
from pivm.job import job, log
from pivm.labels import LabelSet
from pivm.scans.quality import QualitySettings
from pivm.settings import read_settings

with job(snakemake):
    record, arrays, rows = prepare_subject(
        snakemake.wildcards.subject,
        Subject(**snakemake.params.subject),
        LabelSet.from_config(snakemake.params.labels),
        snakemake.params.size,
        read_settings(SelectionSettings, snakemake.params.selection, "selection"),
        read_settings(QualitySettings, snakemake.params.quality, "quality"),
    )
    if record.status == "set aside":
        log.warning("%s set aside: %s", record.subject, record.reason)
    for name in SliceStore.ARRAYS:
        np.save(snakemake.output[name], arrays[name])
    rows.to_csv(snakemake.output.rows, index=False)
    record.save(snakemake.output.record)
