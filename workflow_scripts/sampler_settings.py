"""Write how a generator samples beside its weights, so that a change of it reruns no training."""

from pathlib import Path

from pivm.generators.sampler_file import write_sampler
from pivm.job import job

with job(snakemake):
    write_sampler(Path(snakemake.output[0]).parent, snakemake.params.sampler)
