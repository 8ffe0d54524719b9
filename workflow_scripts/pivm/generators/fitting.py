"""Train one generator from the files of a run; the function that every process of a training calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pivm.cohort.prior import Prior
from pivm.cohort.split import LABELS_ONLY, read_split, training_rows
from pivm.cohort.store import SliceStore
from pivm.generators.kinds import kind_of
from pivm.generators.model_folder import BelowMm, TrainedOn, save_generator
from pivm.generators.training_data import TrainingData
from pivm.learning import processes
from pivm.learning.device import prepare
from pivm.learning.loop import Run
from pivm.learning.model_files import file_hashes
from pivm.seeds import derived_seed
from pivm.settings import read_settings


def trained_on(store: SliceStore, seed: int, split_file: Path | str, store_files: list[str]) -> TrainedOn:
    """What a generator learns from: the training patients and spacings of a store, and the hashes of the files."""
    patients = sorted(set(store.index["patient"][store.rows("train")]))
    below = store.index.iloc[store.rows("train")].groupby("subject")["below_mm"].first().to_numpy()
    ends = np.quantile(below, (0.5, 0.1, 0.9), method="inverted_cdf")
    hashes = file_hashes([split_file, *store_files])
    return TrainedOn(tuple(patients), seed, store.size, hashes, BelowMm(*map(float, ends)))


def fit_generator(
    settings: dict[str, Any],
    seed: int,
    files: dict[str, Any],
    device: str,
    threads: int,
    run: dict[str, Any],
    made: dict[str, Any],
) -> None:
    """Train a generator on the slices of the training patients and write its folder.

    Args:
        settings: resolved settings of the generator as plain values, without those of the sampler.
        seed: of the config.
        files: paths: ``store`` (the files of the slice store), ``prior``, ``split``, and ``folder`` for the model.
        device: ``cuda`` or ``cpu``.
        threads: of each process.
        run: as :meth:`pivm.learning.loop.Run.of` takes it.
        made: code and versions (:func:`pivm.job.made`).

    Raises:
        PivmError: a slice is of a patient of another split, the loss explodes, or memory runs out.
    """
    local_device = processes.local_device(torch.device(device))
    torch.set_num_threads(threads)
    prepare(local_device, run["precision"])
    kind = kind_of(settings, "settings")
    resolved = read_settings(kind.settings, settings, "settings")
    store = SliceStore.checked(Path(files["store"][0]).parent, read_split(Path(files["split"])))
    prior = Prior.load(Path(files["prior"]))
    below = store.index["previous"].to_numpy()
    rows = training_rows(store, Path(files["split"]), f"generator {resolved.name}")
    # a draw of few annotated patients takes as many steps as one of all: what differs is the data, not the training
    per_epoch = len(rows["train"]) + len(store.rows(LABELS_ONLY))
    data = TrainingData(store, prior, rows["train"], below, per_epoch)
    validation = TrainingData(store, prior, rows["val"], below) if len(rows["val"]) else None
    # one seed for all generators: they start from the same draws and differ by their settings alone
    start = derived_seed(seed, "generator")
    torch.manual_seed(start)
    generator = kind.load_trainer()(resolved, prior, local_device)
    plan = Run.of(**run)
    generator.fit(data, validation, start, plan)
    if processes.is_main():
        facts = trained_on(store, seed, files["split"], files["store"])
        save_generator(generator, Path(files["folder"]), facts, made)
        plan.resume.clear()
