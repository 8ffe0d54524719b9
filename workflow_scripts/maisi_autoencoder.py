"""Train MAISI's autoencoder on the stacks of the training patients."""

from pathlib import Path

from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.generators.maisi.settings import MaisiSettings
from pivm.generators.maisi.stages import fit_autoencoder, open_stage, save_stage
from pivm.job import device, job, made, training_run
from pivm.learning.loop import Run
from pivm.settings import read_settings

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    settings = read_settings(MaisiSettings, params.settings, "maisi")
    data = Prior.load(given.prior), SliceStore.checked(Path(given.store[0]).parent), Path(given.split)
    stage = open_stage("autoencoder", settings, params.seed, device(snakemake), *data)
    run = Run.of(**training_run(snakemake, f"{snakemake.wildcards.generator}_autoencoder"))
    fit_autoencoder(stage, run)
    save_stage(stage.nets, "autoencoder", Path(snakemake.output.weights).parent, made(snakemake))
    run.resume.clear()
