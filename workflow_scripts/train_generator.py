"""Train one generator on the slices of the training patients."""

from pathlib import Path

import torch
from pivm.cohort import read_split, require_split
from pivm.generators.registry import make_generator, save_generator
from pivm.generators.training_data import TrainingData
from pivm.job import device, job, resume_path
from pivm.model_files import file_hash
from pivm.prior import Prior
from pivm.slices import SliceStore
from pivm.training import Resume, derived_seed

with job(snakemake):
    where = device(snakemake, snakemake.params.compute)
    store, prior = SliceStore(Path(snakemake.input.store[0]).parent), Prior.load(snakemake.input.prior)
    split, below = read_split(snakemake.input.split), store.index["previous"].to_numpy()
    data = {}
    for part in ("train", "val"):
        rows = store.rows(part)
        require_split(store.index["subject"][rows], split, (part,), f"generator {snakemake.wildcards.generator}")
        data[part] = TrainingData(store, prior, rows, below) if len(rows) else None
    # one seed for all generators: they start from the same draws and differ by their settings alone
    seed = derived_seed(snakemake.params.seed, "generator")
    torch.manual_seed(seed)
    generator = make_generator(snakemake.params.settings, prior, where)
    resume = Resume(resume_path(snakemake))
    generator.fit(data["train"], data["val"], seed, Path(snakemake.output.losses), resume)
    facts = {
        "patients": sorted(set(store.index["subject"][store.rows("train")])),
        "seed": snakemake.params.seed,
        "image_size": store.size,
        "data": {Path(p).name: file_hash(p) for p in (snakemake.input.split, *snakemake.input.store)},
    }
    save_generator(generator, prior, Path(snakemake.output.weights).parent, facts)
    resume.clear()
