"""Distances of synthetic slices to those of training patients, and the losses that an attack on membership goes by."""

from pathlib import Path

import pandas as pd
from pivm.cohort.split import read_split
from pivm.cohort.store import SliceStore
from pivm.evaluation.privacy.membership import LOSSES, membership_losses
from pivm.generators.model_folder import ModelFolder
from pivm.generators.protocol import LossTeller
from pivm.job import device, job, log
from pivm.synthesis.copies import measure_all

with job(snakemake):
    params, given, torch_device = snakemake.params, snakemake.input, device(snakemake)
    store = SliceStore(Path(given.store[0]).parent, read_split(given.split))
    sources = {name: Path(given[name][0]).parent for name in ("labels_only", "augmented") if given.get(name)}
    folders = sorted({Path(path).parent for path in (given.slices[0], given.held_out[0])})
    tables = measure_all(store, given.split, given.prior, folders, sources)
    pd.concat(tables, ignore_index=True).to_csv(snakemake.output.distances, index=False)
    generator, losses = ModelFolder.open(Path(given.model[0]).parent).load(torch_device), pd.DataFrame(columns=LOSSES)
    if isinstance(generator, LossTeller):
        levels, draws = params.noise_levels, params.noise_draws
        losses = membership_losses(generator, generator.prior, store, levels, draws, params.batch)
    else:
        log.info("no denoising loss, hence no membership attack")
    losses.to_csv(snakemake.output.losses, index=False)
