"""Put released MAISI checkpoints together; nothing is trained."""

from pathlib import Path

import torch
from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.generators.maisi.checkpoints import checkpoint_files
from pivm.generators.maisi.generator import MaisiGenerator
from pivm.generators.maisi.released import put_released
from pivm.generators.maisi.settings import MaisiSettings
from pivm.generators.maisi.stages import open_slabs
from pivm.generators.maisi.vocabulary import unmapped
from pivm.generators.model_folder import TrainedOn, save_generator
from pivm.job import job, made
from pivm.learning.model_files import file_hashes
from pivm.learning.monitor import write_log
from pivm.settings import read_settings

with job(snakemake):
    settings = read_settings(MaisiSettings, snakemake.params.settings, "maisi")
    prior, store = Prior.load(snakemake.input.prior), SliceStore(Path(snakemake.input.store[0]).parent)
    slabs = open_slabs(store, Path(snakemake.input.split), prior, settings)["train"]
    files = checkpoint_files(settings.weights)
    generator = MaisiGenerator(settings, prior, torch.device("cpu"))
    put_released(generator.nets, files, slabs.spacing.mean(0))
    facts = TrainedOn((), snakemake.params.seed, store.size, file_hashes(files.values()))
    save_generator(generator, Path(snakemake.output.weights).parent, facts, made(snakemake), unmapped=unmapped(prior))
    write_log([], Path(snakemake.output.losses))
