"""Train MAISI's autoencoder on the stacks of the training patients."""

from pathlib import Path

from pivm.generators.maisi.stages import fit_autoencoder, make_networks, open_slabs, save_stage
from pivm.job import device, job, training_run
from pivm.prior import Prior
from pivm.training import Run, derived_seed

with job(snakemake):
    where, settings = device(snakemake), snakemake.params.settings
    prior = Prior.load(snakemake.input.prior)
    data = open_slabs(Path(snakemake.input.store[0]).parent, snakemake.input.split, prior, settings)
    seed = derived_seed(snakemake.params.seed, "generator")
    nets = make_networks(settings, where, seed)
    run = Run.of(**training_run(snakemake, f"{snakemake.wildcards.generator}_autoencoder"))
    fit_autoencoder(nets, settings, data["train"], data["val"], seed, run)
    save_stage(nets, "autoencoder", Path(snakemake.output.weights).parent)
    run.resume.clear()
