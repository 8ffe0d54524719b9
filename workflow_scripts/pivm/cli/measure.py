"""How long a training step of each network of a config takes here: three real steps each, on made-up slices."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch

from pivm.cohort.prior import Prior
from pivm.config import generator_settings, kind_named, known_labels
from pivm.generators.training_data import TrainingData
from pivm.labels import LabelSet
from pivm.learning.device import prepare
from pivm.learning.loop import Run
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.settings import SegmenterSettings
from pivm.segmentation.training_set import Part, TrainingSlices
from pivm.settings import read_settings

#: of each network that are timed, after one that is not
STEPS = 3
#: made-up patients
PATIENTS = 4


class Measured(NamedTuple):
    """What three steps of a training took.

    Attributes:
        step_seconds: of a step; on a CPU of the processor, so that other work on it does not count.
        memory_mib: largest so far of this process.
        gpu_memory_mib: of torch on the GPU; ``None`` without one.
    """

    step_seconds: float
    memory_mib: float
    gpu_memory_mib: float | None


def made_up_store(size: int, organs: tuple[str, ...], slices: int) -> SimpleNamespace:
    """A slice store in memory: blocks of organs in noise, which cost as much as patients."""
    draws, n = np.random.default_rng(0), PATIENTS * slices
    hu = draws.integers(-100, 200, (n, size, size)).astype(np.int16)
    block = max(size // 8, 1)
    coarse = draws.integers(0, len(organs) + 1, (n, -(-size // block), -(-size // block))).astype(np.uint8)
    labels = np.repeat(np.repeat(coarse, block, 1), block, 2)[:, :size, :size]
    index = pd.DataFrame(
        {
            "subject": np.repeat([f"made_up_{i}" for i in range(PATIENTS)], slices),
            "role": "target",
            "z": np.tile(np.arange(slices), PATIENTS),
            "pixel_mm": 400 / size,
            "step_mm": 5.0,
        }
    )
    return SimpleNamespace(hu=hu, labels=labels, body=np.ones(hu.shape, bool), index=index, size=size)


def made_up_prior(config: dict[str, Any], organs: tuple[str, ...], known: tuple[str, ...]) -> Prior:
    """Organ means for it: zeros."""
    classes = len(known) + (2 if config["prior"] == "body" else 1)
    many = (0.0,) * classes
    return Prior(
        config["prior"], known, organs, many, (9,) * classes, 60.0, (60.0,) * classes, 0.0, 100.0, (-1024, 1500)
    )


def trainings(
    config: dict[str, Any], names: list[str], device: torch.device, threads: int
) -> Iterator[tuple[str, Measured]]:
    """Time every network: those of the generators, then the segmenter, which is called ``segmenter``.

    Args:
        config: the checked config.
        names: of the generators.
        device: where they train.
        threads: of a job.

    Yields:
        (name, what its steps took); a generator of kind maisi gives one for each stage, ``<name>/<stage>``.
    """
    torch.set_num_threads(threads)
    prepare(device, config["compute"]["precision"])
    organs, size = LabelSet.from_config(config["labels"]).names, config["image"]["size"]
    store = made_up_store(size, organs, config["selection"]["slices_per_scan"])
    for name in names:
        kind, settings = kind_named(config, name), generator_settings(config, name)
        known = LabelSet.from_config(known_labels(config, name) or config["labels"]).names
        prior = made_up_prior(config, organs, known)
        if kind.rules == "maisi":
            if not settings.weights:
                yield from _maisi(name, settings, prior, store, device, threads, config)
        elif kind.learnt:
            fit = _fit_diffusion(kind.load_trainer(), settings, prior, store, device)
            yield name, _time(fit, device, threads, config)
    yield "segmenter", _time(_fit_segmenter(config, store, len(organs) + 1, device), device, threads, config)


def _fit_diffusion(implementation: Any, settings: Any, prior: Prior, store: Any, device: torch.device):
    generator, rows = implementation(settings, prior, device), np.arange(len(store.hu))
    below = np.where(store.index["z"] > 0, rows - 1, -1)

    def fit(steps: int, run: Run) -> None:
        few = {"prior": {"steps": steps}, "training": {"epochs": 1}}
        short = {name: dataclasses.replace(getattr(settings, name), **values) for name, values in few.items()}
        generator.settings = dataclasses.replace(settings, **short)
        generator.fit(TrainingData(store, prior, rows, below, steps * settings.training.batch), None, 1, run)

    return fit


def _fit_segmenter(config: dict[str, Any], store: Any, classes: int, device: torch.device):
    known = {field.name for field in dataclasses.fields(SegmenterSettings)}
    own = {key: value for key, value in config["segmentation"].items() if key in known}
    settings, slices = (
        read_settings(SegmenterSettings, own, "segmentation"),
        TrainingSlices([Part(store.hu, store.labels)]),
    )

    def fit(steps: int, run: Run) -> None:
        Segmenter(dataclasses.replace(settings, steps=steps), classes, device).fit(slices, 1, run)

    return fit


def _maisi(
    name: str, settings: Any, prior: Prior, store: Any, device: torch.device, threads: int, config: dict[str, Any]
) -> Iterator[tuple[str, Measured]]:
    from pivm.generators.maisi import stages
    from pivm.generators.maisi.slabs import SlabData, slab_of

    data = SlabData(cast(Any, store), prior, np.arange(len(store.hu)), slab_of(settings))
    fits = {
        "autoencoder": stages.fit_autoencoder,
        "diffusion": stages.fit_diffusion,
        "controlnet": stages.fit_controlnet,
    }
    for stage, fit_stage in fits.items():

        def fit(steps: int, run: Run, stage: str = stage, fit_stage: Callable = fit_stage) -> None:
            short = dataclasses.replace(settings, **{stage: dataclasses.replace(getattr(settings, stage), steps=steps)})
            nets = stages.make_networks(short, device, 1, stage)
            fit_stage(stages.Stage(nets, short, data, None, 1), run)

        yield f"{name}/{stage}", _time(fit, device, threads, config)


def _time(fit: Callable[[int, Run], None], device: torch.device, threads: int, config: dict[str, Any]) -> Measured:
    compute = config["compute"]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "losses.csv", precision=compute["precision"], compile=False)
        fit(1, run)
        wall, processor = time.perf_counter(), time.process_time()
        fit(STEPS, run)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        stats = pd.read_csv(Path(folder) / "stats.csv").iloc[-1]
    own = 1.0 if device.type == "cuda" else min(1.0, processor / threads / wall)
    on_gpu = None if pd.isna(stats["gpu_memory_mib"]) else float(stats["gpu_memory_mib"])
    return Measured(float(stats["seconds"]) / STEPS * own, float(stats["memory_mib"]), on_gpu)
