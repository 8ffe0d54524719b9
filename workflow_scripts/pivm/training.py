"""The training loop shared by generators and segmenters: seeded by step, resumable after a kill.

Every random draw of step ``i`` comes from a generator seeded with ``(seed, i)``, so a run that is resumed from a
saved state goes on exactly as if it had never stopped.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from pivm.errors import PivmError

log = logging.getLogger("pivm")


def derived_seed(*parts: object) -> int:
    """A 62-bit seed from any parts; the same parts give the same seed on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2


def step_generator(seed: int, *parts: object) -> torch.Generator:
    """A CPU generator for one purpose at one step."""
    return torch.Generator().manual_seed(derived_seed(seed, *parts))


class Batches:
    """Row numbers of each step's batch: a new permutation per epoch, the tail carried into the next.

    Args:
        rows: how many rows there are; batch: how many a step sees.
    """

    def __init__(self, rows: int, batch: int, seed: int):
        self.rows, self.batch, self.seed = rows, batch, seed
        self._order: dict[int, torch.Tensor] = {}

    def at(self, step: int) -> torch.Tensor:
        """Rows [batch] of one step."""
        positions = torch.arange(step * self.batch, (step + 1) * self.batch)
        picked = [self._permutation(int(p) // self.rows)[int(p) % self.rows] for p in positions]
        return torch.stack(picked)

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch not in self._order:
            self._order = {e: o for e, o in self._order.items() if e >= epoch - 1}
            self._order[epoch] = torch.randperm(self.rows, generator=step_generator(self.seed, "epoch", epoch))
        return self._order[epoch]


class Ema:
    """Exponential moving average of a model's weights, warmed up as (1 + i) / (10 + i)."""

    def __init__(self, model: torch.nn.Module, decay: float):
        self.decay = decay
        self.shadow = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.shadow[name].lerp_(value, 1 - decay)
            else:
                self.shadow[name].copy_(value)


@dataclass
class Schedule:
    """Length and learning rate of a run.

    Attributes:
        steps: optimiser steps; learning_rate: initial; halve_every: steps between halvings, 0 = never;
        cosine: fall to zero along a half cosine instead; clip: largest gradient norm.
    """

    steps: int
    learning_rate: float
    halve_every: int = 0
    cosine: bool = False
    clip: float = 1.0

    def rate(self, step: int) -> float:
        if self.cosine:
            return self.learning_rate * 0.5 * float(1 + torch.cos(torch.tensor(torch.pi * step / self.steps)))
        return self.learning_rate * 0.5 ** (step // self.halve_every if self.halve_every else 0)


class Resume:
    """Training state at an undeclared path, so that Snakemake does not delete it with the outputs.

    Args:
        path: the state file; every: seconds between two saves.
    """

    def __init__(self, path: Path | None, every: float = 60.0):
        self.path, self.every = Path(path) if path else None, every
        self._last = time.monotonic()

    def load(self) -> dict | None:
        if self.path is None or not self.path.exists():
            return None
        state = torch.load(self.path, weights_only=True, map_location="cpu")
        log.warning("resuming at step %d from %s", state["step"], self.path)
        return state

    def save(self, make: Callable[[], dict]) -> None:
        if self.path is None or time.monotonic() - self._last < self.every:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        torch.save(make(), partial)
        os.replace(partial, self.path)
        self._last = time.monotonic()

    def clear(self) -> None:
        """Remove this state, and those that jobs with other settings left in the same folder."""
        if self.path is not None:
            for old in self.path.parent.glob("resume-*"):
                old.unlink()


def train(
    model: torch.nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    schedule: Schedule,
    log_file: Path,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
    ema_decay: float | None = None,
    validate: Callable[[], float] | None = None,
    validate_every: int = 0,
    resume: Resume | None = None,
    name: str = "train",
) -> dict[str, torch.Tensor]:
    """Adam on ``loss_at(step)`` for ``schedule.steps`` steps.

    Args:
        loss_at: the loss of a step; all its randomness must come from the step number.
        log_file: CSV with ``step, learning_rate, loss, validation_loss``.
        validate: validation loss of the current model (the EMA weights where there are any).

    Returns:
        The final weights: EMA weights where there are any.

    Raises:
        PivmError: the loss is NaN or infinite; the step is named and the last saved state stays.
    """
    resume = resume or Resume(None)
    optimizer = torch.optim.AdamW(
        model.parameters(), schedule.learning_rate, betas=betas, weight_decay=weight_decay, fused=True
    )
    ema = Ema(model, ema_decay) if ema_decay else None
    first, rows, running = 0, [], torch.zeros(())
    state = resume.load()
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, rows = state["step"], state["rows"]
        if ema:
            ema.shadow = state["ema"]
    model.train()
    period = validate_every or max(schedule.steps // 20, 1)
    for step in tqdm(range(first, schedule.steps), name, schedule.steps, initial=first, disable=None, mininterval=1):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        loss = loss_at(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimizer.step()
        if ema:
            ema.update(model, step)
        running = running + loss.detach().cpu()
        done = step + 1
        if done % period == 0 or done == schedule.steps:
            mean = float(running) / (done - (rows[-1]["step"] if rows else 0))
            running = torch.zeros(())
            _require_finite(mean, name, done, resume)
            row = {"step": done, "learning_rate": schedule.rate(step), "loss": mean}
            rows.append({**row, "validation_loss": _validation(model, ema, validate)})
            log.info("%s of %d: %s", name, schedule.steps, rows[-1])
            resume.save(functools.partial(_state, model, optimizer, ema, done, rows))
    write_log(rows, log_file)
    return ema.shadow if ema else {k: v.detach().clone() for k, v in model.state_dict().items()}


def _state(model, optimizer, ema: Ema | None, step: int, rows: list[dict]) -> dict:
    """Everything a resumed run needs; random draws need no state, they come from the step number."""
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "ema": ema.shadow if ema else {},
        "step": step,
        "rows": rows,
    }


def _require_finite(loss: float, name: str, step: int, resume: Resume) -> None:
    if not math.isfinite(loss):
        kept = resume.path if resume.path and resume.path.exists() else "none"
        raise PivmError(
            f"{name}: the loss became {loss} before step {step}; lower the learning rate (last good state: {kept})"
        )


def _validation(model, ema: Ema | None, validate) -> float | None:
    if validate is None:
        return None
    weights = {k: v.clone() for k, v in model.state_dict().items()} if ema else None
    if ema:
        model.load_state_dict(ema.shadow)
    model.eval()
    with torch.no_grad():
        value = validate()
    model.train()
    if weights:
        model.load_state_dict(weights)
    return value


def write_log(rows: list[dict], path: Path) -> None:
    """The losses of a run as CSV with ``step, learning_rate, loss, validation_loss``."""
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, ["step", "learning_rate", "loss", "validation_loss"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
