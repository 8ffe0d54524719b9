"""Train one generator on the slices of the training patients."""

from pathlib import Path

from pivm.generators.fitting import fit_generator
from pivm.job import compute_settings, device, job, made, training_run
from pivm.learning.processes import launch

with job(snakemake):
    params = snakemake.params
    files = {
        "store": [str(path) for path in snakemake.input.store],
        "prior": str(snakemake.input.prior),
        "split": str(snakemake.input.split),
        "folder": str(Path(snakemake.output.weights).parent),
    }
    arguments = {
        "settings": params.settings,
        "seed": params.seed,
        "files": files,
        "device": device(snakemake).type,
        "threads": compute_settings(snakemake).threads,
        "run": training_run(snakemake, snakemake.wildcards.generator),
        "made": made(snakemake),
    }
    launch(fit_generator, arguments, compute_settings(snakemake), Path(snakemake.log[0]))
