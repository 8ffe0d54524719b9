"""Train nnU-Net's 2D U-Net on one data set."""

from pathlib import Path

from pivm.job import device, job, resume_path
from pivm.segmentation.nnunet import NnunetSettings, train
from pivm.settings import read_settings

with job(snakemake):
    settings = read_settings(NnunetSettings, snakemake.params.settings, "nnunet")
    results = Path(snakemake.output[0]).parents[3]
    seed, marker = int(snakemake.wildcards.segmenter_seed), resume_path(snakemake).with_suffix(".started")
    marker.parent.mkdir(parents=True, exist_ok=True)
    train(Path(snakemake.input[0]), results, settings, seed, device(snakemake), marker, Path(snakemake.log[0]))
