"""Put released MAISI checkpoints together; nothing is trained."""

from pathlib import Path

import torch
from pivm.cohort.prior import Prior
from pivm.generators.maisi.checkpoints import checkpoint_files
from pivm.generators.maisi.generator import MaisiGenerator
from pivm.generators.maisi.released import put_released
from pivm.generators.maisi.stages import open_slabs
from pivm.generators.maisi.vocabulary import unmapped
from pivm.generators.registry import save_generator
from pivm.job import job, made
from pivm.learning.model_files import file_hash
from pivm.learning.monitor import write_log

with job(snakemake):
    settings, prior = snakemake.params.settings, Prior.load(snakemake.input.prior)
    data = open_slabs(Path(snakemake.input.store[0]).parent, snakemake.input.split, prior, settings)
    files = checkpoint_files(settings["weights"])
    generator = MaisiGenerator(settings, prior, torch.device("cpu"))
    put_released(generator.nets, files, data["train"].spacing.mean(0))
    facts = {
        "patients": [],
        "seed": snakemake.params.seed,
        "made": made(snakemake),
        "image_size": data["train"].store.size,
        "data": {path.name: file_hash(path) for path in files.values()},
        "unmapped": unmapped(prior),
    }
    save_generator(generator, prior, Path(snakemake.output.weights).parent, facts)
    write_log([], Path(snakemake.output.losses))
