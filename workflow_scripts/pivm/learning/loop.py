"""The training loop shared by generators and segmenters: seeded by step, resumable after a kill.

Every random draw of step ``i`` comes from a generator seeded with ``(seed, i)``, so a run that is resumed from a
saved state goes on exactly as if it had never stopped. No step waits for the device, but for fp16, which looks for
overflow: losses are read once a period.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pivm.learning import processes
from pivm.learning.device import autocast, low_precision, pays_to_compile
from pivm.learning.graphs import replayed
from pivm.learning.monitor import Monitor
from pivm.learning.optimizers import make_optimizers
from pivm.learning.resume import Resume

log = logging.getLogger("pivm")


class Ema:
    """Exponential moving average of a model's weights, warmed up as (1 + i) / (10 + i)."""

    def __init__(self, model: torch.nn.Module, decay: float):
        self.decay = decay
        self.shadow = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """Take up the weights after one step; what is no float (counters) is copied."""
        state, average = model.state_dict(), get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        floating = [k for k, v in state.items() if v.dtype.is_floating_point]
        average([self.shadow[k] for k in floating], [state[k] for k in floating], None)
        for name in state.keys() - set(floating):
            self.shadow[name].copy_(state[name])


@dataclass
class Schedule:
    """Length and learning rate of a run.

    Attributes:
        steps: optimiser steps.
        learning_rate: at the first step.
        halve_every: steps between halvings, 0 = never.
        cosine: fall to zero along a half cosine instead.
        clip: largest gradient norm.
    """

    steps: int
    learning_rate: float
    halve_every: int = 0
    cosine: bool = False
    clip: float = 1.0

    def rate(self, step: int) -> float:
        """Learning rate of one step."""
        if self.cosine:
            return self.learning_rate * 0.5 * float(1 + torch.cos(torch.tensor(torch.pi * step / self.steps)))
        return self.learning_rate * 0.5 ** (step // self.halve_every if self.halve_every else 0)


@dataclass
class Run:
    """Where a training writes and how it uses its device.

    Attributes:
        losses: CSV of the losses, ``stats.csv`` with the timings is written beside it.
        resume: the saved state.
        tensorboard: folder for event files, ``None`` for none.
        precision: config key ``compute.precision``.
        compile: config key ``compute.compile``.
        graphs: config key ``compute.graphs``.
    """

    losses: Path
    resume: Resume = field(default_factory=lambda: Resume(None))
    tensorboard: Path | None = None
    precision: str = "auto"
    compile: bool | str = "auto"
    graphs: bool = True

    @classmethod
    def of(cls, losses: str, resume: str, tensorboard: str | None, **device: Any) -> Run:
        """A run from values that JSON can hold; ``resume`` is the path of the state."""
        return cls(Path(losses), Resume(Path(resume)), Path(tensorboard) if tensorboard else None, **device)


def train(
    model: torch.nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    schedule: Schedule,
    run: Run,
    *,
    batch: int,
    optimizer: str = "adamw",
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
    ema_decay: float | None = None,
    validate: Callable[[], float] | None = None,
    pictures: Callable[[], torch.Tensor] | None = None,
    validate_every: int = 0,
    name: str = "train",
    static: bool = False,
) -> dict[str, torch.Tensor]:
    """Minimise ``loss_at(step)`` for ``schedule.steps`` steps, in the processes of :mod:`pivm.learning.processes`.

    Args:
        loss_at: the loss of a step over this process's part of the batch, under autocast; random by the step alone.
        batch: slices per step, over all processes.
        optimizer: ``adamw`` or ``muon``, see :func:`pivm.learning.optimizers.make_optimizers`.
        validate: validation loss of the current model (the EMA weights where there are any).
        pictures: what the current model makes, grey from 0 to 1 [N, 1, H, W], for TensorBoard.
        static: the model is as :func:`pivm.learning.graphs.replayed` wants it.

    Returns:
        The final weights: EMA weights where there are any.

    Raises:
        PivmError: a loss or gradient is NaN or infinite; the step is named and the last saved state is of before.
    """
    device = next(model.parameters()).device
    graphs = run.graphs and device.type == "cuda"
    optimizers = make_optimizers(model, optimizer, schedule.learning_rate, betas, weight_decay, graphs)
    half = low_precision(run.precision, device) == torch.float16
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    parts = _Parts(model, optimizers, scaler, Ema(model, ema_decay) if ema_decay else None)
    monitor = Monitor(name, device, batch, schedule.steps, half, run.tensorboard, run.resume.path)
    first = parts.restore(run.resume.load(), monitor)
    compiled = pays_to_compile(run.compile, device, schedule.steps - first)
    if compiled:
        model.compile()
    shared_loss = processes.share_gradients(model.train(), loss_at)
    period = validate_every or max(schedule.steps // 20, 1)
    replay = static and graphs and not compiled and processes.world() == 1
    with replayed(model, replay):
        for step in _with_bar(range(first, schedule.steps), name, schedule.steps):
            parts.set_rate(schedule.rate(step))
            with autocast(device, run.precision):
                loss = shared_loss(step)
            monitor.add(step, loss, parts.step(loss, schedule.clip, step))
            done = step + 1
            if done % period == 0 or done == schedule.steps:
                with autocast(device, run.precision), _evaluated(model, parts.ema):
                    monitor.close(done, schedule.rate(step), validate, pictures)
            run.resume.save(functools.partial(parts.state, done, monitor))
    monitor.finish(run.losses)
    return parts.ema.shadow if parts.ema else {k: v.detach().clone() for k, v in model.state_dict().items()}


def _with_bar(steps: range, name: str, total: int) -> Iterable[int]:
    """The steps under a progress bar on a terminal, without one where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return steps
    return tqdm(steps, name, total, initial=steps.start, disable=None, mininterval=1)


@dataclass
class _Parts:
    """What changes from step to step: together the state that a resumed run needs.

    Random draws need no state, they come from the step number.
    """

    model: torch.nn.Module
    optimizers: list[torch.optim.Optimizer]
    scaler: torch.amp.GradScaler
    ema: Ema | None

    def set_rate(self, rate: float) -> None:
        """The learning rate of the next step."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def step(self, loss: torch.Tensor, clip: float, step: int) -> torch.Tensor:
        """One update of the weights; returns the norm of the gradient before clipping."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        # the norm is that of all gradients: where those of one optimiser overflow, no other may take its step
        if not self.scaler.is_enabled() or bool(norm.isfinite()):
            for optimizer in self.optimizers:
                self.scaler.step(optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update(self.model, step)
        return norm

    def state(self, step: int, monitor: Monitor) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "ema": self.ema.shadow if self.ema else {},
            "step": step,
            "monitor": monitor.state(),
        }

    def restore(self, state: dict | None, monitor: Monitor) -> int:
        """Take up a saved state; returns the first step to do."""
        if state is None:
            return 0
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.scaler.load_state_dict(state["scaler"])
        if self.ema:
            for name, value in state["ema"].items():
                self.ema.shadow[name].copy_(value)
        monitor.restore(state["monitor"])
        return state["step"]


@contextlib.contextmanager
def _evaluated(model: torch.nn.Module, ema: Ema | None) -> Iterator[None]:
    """The model as it would be used, with its EMA weights where there are any; afterwards it trains on."""
    weights = {k: v.clone() for k, v in model.state_dict().items()} if ema else None
    if ema:
        model.load_state_dict(ema.shadow)
    model.eval()
    with torch.no_grad():
        yield
    model.train()
    if weights:
        model.load_state_dict(weights)
