"""Train one generator from the files of a run; the function that every process of a training calls."""

from __future__ import annotations

from pathlib import Path

import torch

from pivm.cohort.prior import Prior
from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.generators.registry import make_generator, save_generator
from pivm.generators.training_data import TrainingData
from pivm.learning import processes
from pivm.learning.device import prepare
from pivm.learning.loop import Run
from pivm.learning.model_files import file_hash
from pivm.seeds import derived_seed


def fit_generator(settings: dict, seed: int, files: dict, device: str, threads: int, run: dict, made: dict) -> None:
    """Train a generator on the slices of the training patients and write its folder.

    Args:
        settings: resolved settings of the generator; seed: of the config;
        files: paths: ``store`` (the files of the slice store), ``prior``, ``split``, and ``folder`` for the model;
        device: ``cuda`` or ``cpu``; threads: of this node; run: as :meth:`pivm.learning.loop.Run.of` takes it;
        made: code and versions (:func:`pivm.job.made`).

    Raises:
        PivmError: a slice is of a patient of another split, the loss explodes, or memory runs out.
    """
    where = processes.local_device(torch.device(device))
    torch.set_num_threads(max(threads // processes.local_world(), 1))
    prepare(where, run["precision"])
    slices, means = SliceStore(Path(files["store"][0]).parent), Prior.load(Path(files["prior"]))
    patients, below = read_split(Path(files["split"])), slices.index["previous"].to_numpy()
    data = {}
    for part in ("train", "val"):
        rows = slices.rows(part)
        require_split(slices.index["subject"][rows], patients, (part,), f"generator {settings['name']}")
        data[part] = TrainingData(slices, means, rows, below) if len(rows) else None
    # one seed for all generators: they start from the same draws and differ by their settings alone
    start = derived_seed(seed, "generator")
    torch.manual_seed(start)
    generator = make_generator(settings, means, where)
    plan = Run.of(**run)
    generator.fit(data["train"], data["val"], start, plan)
    if processes.is_main():
        facts = {
            "patients": sorted(set(slices.index["subject"][slices.rows("train")])),
            "seed": seed,
            "made": made,
            "image_size": slices.size,
            "data": {Path(path).name: file_hash(Path(path)) for path in (files["split"], *files["store"])},
        }
        save_generator(generator, means, Path(files["folder"]), facts)
        plan.resume.clear()
