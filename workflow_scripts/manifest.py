"""What made these results, when and where: versions, resolved config, data fingerprint, seeds and hardware."""

from pathlib import Path

from pivm.job import job
from pivm.job.killed import started_at
from pivm.report.manifest import write_manifest

with job(snakemake):
    store = Path(snakemake.input.store[0]).parent
    root = Path(snakemake.output[0]).parent
    models = {Path(file).parent.relative_to(root).as_posix(): file for file in snakemake.input.models}
    write_manifest(snakemake.params.config, snakemake.input.split, store, models, snakemake.output[0], started_at())
