"""What made these results: versions, resolved config, data fingerprint, seeds and hardware."""

from pathlib import Path

from pivm.job import job
from pivm.report.manifest import write_manifest

with job(snakemake):
    store = Path(snakemake.input.store[0]).parent
    root = Path(snakemake.output[0]).parent
    models = {Path(file).parent.relative_to(root).as_posix(): file for file in snakemake.input.models}
    write_manifest(snakemake.params.config, snakemake.input.split, store, models, snakemake.output[0])
