"""Write meta.csv of the phantom cohort: one row per patient."""

from pivm.datasets.phantom.scan import write_meta
from pivm.job import job

with job(snakemake):
    write_meta(snakemake.output[0], **snakemake.params.settings)
