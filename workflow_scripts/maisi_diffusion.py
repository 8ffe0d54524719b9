"""Train MAISI's diffusion network on the latents of its autoencoder."""

from pathlib import Path

from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.generators.maisi.settings import MaisiSettings
from pivm.generators.maisi.stages import fit_diffusion, open_stage, save_stage
from pivm.job import device, job, made, training_run
from pivm.learning.loop import Run
from pivm.settings import read_settings

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    settings = read_settings(MaisiSettings, params.settings, "maisi")
    data = Prior.load(given.prior), SliceStore.checked(Path(given.store[0]).parent), Path(given.split)
    stage = open_stage(
        "diffusion", settings, params.seed, device(snakemake), *data, [Path(given.autoencoder[0]).parent]
    )
    run = Run.of(**training_run(snakemake, f"{snakemake.wildcards.generator}_diffusion"))
    fit_diffusion(stage, run)
    save_stage(stage.nets, "diffusion", Path(snakemake.output.weights).parent, made(snakemake))
    run.resume.clear()
