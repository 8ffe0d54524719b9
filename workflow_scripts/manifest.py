"""What made these results: versions, resolved config, data fingerprint, seeds and hardware."""

from pathlib import Path

from pivm.job import job
from pivm.report.manifest import write_manifest

with job(snakemake):
    store = Path(snakemake.input.store[0]).parent
    write_manifest(snakemake.params.config, snakemake.input.split, store, snakemake.output[0])
