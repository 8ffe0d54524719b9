"""Train MAISI's ControlNet on the label maps, and put its three networks together."""

from pathlib import Path

from pivm.generators.maisi.generator import MaisiGenerator
from pivm.generators.maisi.stages import fit_controlnet, make_networks, open_slabs, put_stage
from pivm.generators.registry import save_generator
from pivm.job import device, job, training_run
from pivm.model_files import file_hash
from pivm.prior import Prior
from pivm.training import Run, derived_seed

with job(snakemake):
    where, settings = device(snakemake), snakemake.params.settings
    prior = Prior.load(snakemake.input.prior)
    data = open_slabs(Path(snakemake.input.store[0]).parent, snakemake.input.split, prior, settings)
    seed = derived_seed(snakemake.params.seed, "generator")
    nets = make_networks(settings, where, seed)
    put_stage(nets, Path(snakemake.input.autoencoder[0]).parent)
    put_stage(nets, Path(snakemake.input.diffusion[0]).parent)
    run = Run.of(**training_run(snakemake, f"{snakemake.wildcards.generator}_controlnet"))
    fit_controlnet(nets, settings, data["train"], data["val"], seed, run)
    facts = {
        "patients": data["train"].patients,
        "seed": snakemake.params.seed,
        "image_size": data["train"].store.size,
        "data": {Path(p).name: file_hash(p) for p in (snakemake.input.split, *snakemake.input.store)},
    }
    generator = MaisiGenerator(settings, prior, where, nets)
    save_generator(generator, prior, Path(snakemake.output.weights).parent, facts)
    run.resume.clear()
