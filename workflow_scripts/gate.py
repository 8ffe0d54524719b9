"""Score the synthetic slices of one recipe and say which are kept."""

from pathlib import Path

import numpy as np
from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.split import read_split, split_table
from pivm.cohort.store import SliceStore
from pivm.job import device, job, log
from pivm.labels import LabelSet
from pivm.seeds import derived_seed
from pivm.segmentation.gate import drop_at_random, drop_copies, hu_limits, judges, require_some, score
from pivm.segmentation.segmenter import Segmenter
from pivm.settings import read_settings
from pivm.synthesis.copies import measure_all
from pivm.synthesis.settings import GateSettings

with job(snakemake):
    params, given, torch_device = snakemake.params, snakemake.input, device(snakemake)
    settings = read_settings(GateSettings, params.keep, "synthesis.keep")
    classes = len(LabelSet.from_config(params.labels)) + 1
    store, folder = SliceStore(Path(given.store[0]).parent, read_split(given.split)), Path(given.synthetic[0]).parent
    hu, labels = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("hu", "labels"))
    judge = judges(split_table(given.split), read_patient_csv(folder / "index.csv")["source_subject"].to_numpy())
    predicted = np.zeros_like(labels)
    for fold, path in enumerate(path for path in given.judges if path.endswith(".safetensors")):
        if len(rows := np.flatnonzero(judge == fold)):
            predicted[rows] = Segmenter.load(Path(path).parent, classes, torch_device).predict(hu[rows], params.batch)
    table = score(hu, labels, predicted, hu_limits(store, classes, settings), settings)
    if settings.copy_percentile is not None:
        sources = {name: Path(given[name][0]).parent for name in ("labels_only", "augmented") if given.get(name)}
        folders = [folder, Path(given.held_out[0]).parent]
        table = drop_copies(table, measure_all(store, given.split, given.prior[0], folders, sources), settings)
    require_some(table, settings, f"{folder.parent.parent.name}, {folder.name}")
    log.info("the gate keeps %d of %d slices", table["keep"].sum(), len(table))
    if settings.at_random:
        table = drop_at_random(table, derived_seed(params.seed, "gate"))
    table.insert(0, "row", range(len(table)))
    table.insert(1, "judge", judge)
    table.to_csv(snakemake.output.scores, index=False)
