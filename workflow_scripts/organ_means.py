"""Fit organ means and scales on the training split."""

from pathlib import Path

from pivm.cohort.organ_means import fit_prior
from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.job import job, log
from pivm.labels import LabelSet

with job(snakemake):
    split = read_split(snakemake.input.split)
    store = SliceStore.checked(Path(snakemake.input.store[0]).parent, split)
    train = store.index["subject"][store.rows("train")]
    require_split(train, split, ("train",), "organ means")
    organs, names = (LabelSet.from_config(snakemake.params[key]) for key in ("labels", "known"))
    prior = fit_prior(store, organs, snakemake.params.kind, names)
    if prior.never_seen:
        log.warning("no training pixel of %s: handled as unlabelled tissue", ", ".join(prior.never_seen))
    prior.save(snakemake.output.prior)
