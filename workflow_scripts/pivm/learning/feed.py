"""The slices and the random numbers of every training step, on the device and cut to this process's part."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from pivm.learning.batches import StepRows
from pivm.seeds import step_generator

log = logging.getLogger("pivm")
#: training slices move to the GPU for good when they take at most this share of its free memory
RESIDENT_SHARE = 0.5
_CHUNK = 256
_WORKERS = 2
#: makes the tensors of a step, given its number, from those that the source holds; both on the CPU
Prepare = Callable[[int, tuple[torch.Tensor, ...]], tuple[torch.Tensor, ...]]


class Source(Protocol):
    """Training slices that are read by row."""

    def __len__(self) -> int: ...

    def batch(self, rows: torch.Tensor, /) -> tuple[torch.Tensor, ...]:
        """Tensors [len(rows), ...] in their smallest types."""
        ...


class Feed:
    """The batch of every step.

    On a GPU with room the slices are moved there once; without room they are read ahead by worker processes into
    pinned memory. On a CPU they are read from the memory map when needed: label maps kept ready would save 0.2 % of a
    step at 64². The way never changes what a step sees. ``resident`` prepares nothing.

    Args:
        part: rows of the batch that this process takes.
        steps: length of the training.
        way: ``resident``, ``ahead`` or ``direct``; chosen as above where it is not given.
        prepare: work on the CPU for every step, such as augmentation; beside a GPU the reading ahead does it.
    """

    def __init__(
        self,
        source: Source,
        batches: StepRows,
        part: slice,
        steps: int,
        device: torch.device,
        way: str | None = None,
        prepare: Prepare | None = None,
    ):
        self._batches, self._part, self._steps, self._device = batches, part, steps, device
        self._by_step = _ByStep(source, batches, part, prepare)
        self.way = way or _best_way(source, device, prepare is not None)
        self._resident = _load(source, device) if self.way == "resident" else ()
        self._ahead = None

    def at(self, step: int) -> tuple[torch.Tensor, ...]:
        """The tensors of one step; with ``ahead`` steps must come in order, from any first one."""
        if self.way == "ahead":
            if self._ahead is None:
                self._ahead = self._start(step)
            return tuple(t.to(self._device, non_blocking=True) for t in next(self._ahead))
        if self.way == "resident":
            rows = self._batches.at(step)[self._part].to(self._device, non_blocking=True)
            return tuple(t[rows] for t in self._resident)
        return tuple(t.to(self._device) for t in self._by_step[step])

    def _start(self, first: int):
        pinned = self._device.type == "cuda"
        loader = DataLoader(
            self._by_step,
            batch_size=None,
            sampler=range(first, self._steps),
            num_workers=_WORKERS,
            pin_memory=pinned,
            multiprocessing_context="fork",  # workers share the memory maps and never touch the GPU
        )
        return iter(loader)


class _ByStep(Dataset):
    def __init__(self, source: Source, batches: StepRows, part: slice, prepare: Prepare | None):
        self._source, self._batches, self._part, self._prepare = source, batches, part, prepare

    def __getitem__(self, step: int) -> tuple[torch.Tensor, ...]:
        tensors = self._source.batch(self._batches.at(step)[self._part])
        return self._prepare(step, tensors) if self._prepare else tensors


def _best_way(source: Source, device: torch.device, prepared: bool = False) -> str:
    if device.type != "cuda":
        return "direct"
    if prepared:
        return "ahead"
    size = len(source) * sum(t.nbytes for t in source.batch(torch.zeros(1, dtype=torch.long)))
    free, _ = torch.cuda.mem_get_info(device)
    way = "resident" if size <= RESIDENT_SHARE * free else "ahead"
    log.info("training slices: %.2f GiB of %.1f GiB free on the GPU: %s", size / 2**30, free / 2**30, way)
    return way


def _load(source: Source, device: torch.device) -> tuple[torch.Tensor, ...]:
    """All slices on the device, a chunk at a time through the host."""
    out: tuple[torch.Tensor, ...] = ()
    for rows in torch.arange(len(source)).split(_CHUNK):
        some = source.batch(rows)
        if not out:
            out = tuple(torch.empty((len(source), *t.shape[1:]), dtype=t.dtype, device=device) for t in some)
        for whole, t in zip(out, some, strict=True):
            whole[rows[0] : rows[-1] + 1] = t.to(device)
    return out


class Draws:
    """The random numbers of one purpose at one step, drawn for the whole batch and cut to this process's part.

    Args:
        batch: rows of the whole batch.
        part: rows of this process.
        purpose: what names the step, such as its number.
    """

    def __init__(self, batch: int, part: slice, device: torch.device, seed: int, *purpose: object):
        self._batch, self._part, self._device = batch, part, device
        self._generator = step_generator(seed, *purpose, device=device)
        self._coins = step_generator(seed, "coin", *purpose)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal, float [part, *shape]."""
        return torch.randn(self._batch, *shape, generator=self._generator, device=self._device)[self._part]

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform in [0, 1), float [part, *shape]."""
        return torch.rand(self._batch, *shape, generator=self._generator, device=self._device)[self._part]

    def integers(self, high: int) -> torch.Tensor:
        """Uniform in 0 .. high - 1, int64 [part]."""
        return torch.randint(high, (self._batch,), generator=self._generator, device=self._device)[self._part]

    def coin(self) -> float:
        """One number in [0, 1) for the whole step, known to the host without waiting for the device."""
        return float(torch.rand((), generator=self._coins))
