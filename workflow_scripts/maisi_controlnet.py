"""Train MAISI's ControlNet on the label maps, and put its three networks together."""

from pathlib import Path

from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.generators.fitting import trained_on
from pivm.generators.maisi.generator import MaisiGenerator
from pivm.generators.maisi.settings import MaisiSettings
from pivm.generators.maisi.stages import fit_controlnet, open_stage
from pivm.generators.model_folder import save_generator
from pivm.job import device, job, made, training_run
from pivm.learning.loop import Run
from pivm.settings import read_settings

with job(snakemake):
    given, params, torch_device = snakemake.input, snakemake.params, device(snakemake)
    settings = read_settings(MaisiSettings, params.settings, "maisi")
    prior, store = Prior.load(given.prior), SliceStore.checked(Path(given.store[0]).parent)
    earlier = [Path(files[0]).parent for files in (given.autoencoder, given.diffusion)]
    stage = open_stage("controlnet", settings, params.seed, torch_device, prior, store, Path(given.split), earlier)
    run = Run.of(**training_run(snakemake, f"{snakemake.wildcards.generator}_controlnet"))
    fit_controlnet(stage, run)
    generator = MaisiGenerator(settings, prior, torch_device, stage.nets)
    facts = trained_on(store, params.seed, given.split, list(given.store))
    save_generator(generator, Path(snakemake.output.weights).parent, facts, made(snakemake))
    run.resume.clear()
