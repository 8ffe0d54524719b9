"""Plan and preprocess a data set as nnU-Net does."""

from pathlib import Path

from pivm.job import job
from pivm.segmentation.nnunet import preprocess

with job(snakemake):
    preprocess(Path(snakemake.input[0]), Path(snakemake.output[0]), Path(snakemake.log[0]))
