"""Train MAISI's ControlNet on the label maps, and put its three networks together."""

from pathlib import Path

from pivm.cohort.prior import Prior
from pivm.generators.maisi.generator import MaisiGenerator
from pivm.generators.maisi.stages import fit_controlnet, open_stage
from pivm.generators.registry import save_generator
from pivm.job import device, job, made, training_run
from pivm.learning.loop import Run
from pivm.learning.model_files import file_hash

with job(snakemake):
    given, params, where = snakemake.input, snakemake.params, device(snakemake)
    prior, earlier = Prior.load(given.prior), [Path(files[0]).parent for files in (given.autoencoder, given.diffusion)]
    stage = open_stage(
        params.settings, params.seed, where, prior, Path(given.store[0]).parent, Path(given.split), *earlier
    )
    run = Run.of(**training_run(snakemake, f"{snakemake.wildcards.generator}_controlnet"))
    fit_controlnet(stage, run)
    facts = {
        "patients": stage.data.patients,
        "seed": params.seed,
        "made": made(snakemake),
        "image_size": stage.data.store.size,
        "data": {Path(path).name: file_hash(path) for path in (given.split, *given.store)},
    }
    generator = MaisiGenerator(params.settings, prior, where, stage.nets)
    save_generator(generator, prior, Path(snakemake.output.weights).parent, facts)
    run.resume.clear()
