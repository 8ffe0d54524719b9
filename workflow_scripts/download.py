"""Fetch the archive of a data set."""

from pathlib import Path

from pivm.datasets.fetch import fetch
from pivm.job import job

with job(snakemake):
    fetch(**snakemake.params.download, target=Path(snakemake.output[0]))
