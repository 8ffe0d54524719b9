"""A learnt mean: a small network predicts the mean image from the label map, and the diffusion learns the rest.

The idea is that of residual (corrective) diffusion, CorrDiff (Mardani et al. 2023): a regression takes what the
condition tells, the diffusion what it leaves open. It takes the place of the average intensity map of the paper.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from pivm.generators.diffusion.network import Denoiser
from pivm.generators.diffusion.signal import Signal
from pivm.generators.organ_moments import own_scales
from pivm.learning.batches import Batches
from pivm.learning.feed import Feed
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.processes import part_of
from pivm.learning.resume import Resume
from pivm.seeds import derived_seed

if TYPE_CHECKING:
    from pivm.cohort.prior import Prior
    from pivm.generators.diffusion.settings import OrganMeansSettings
    from pivm.generators.training_data import TrainingData

log = logging.getLogger("pivm")
#: of the first step; it falls to zero along a half cosine
LEARNING_RATE = 1e-3


class MeanNetwork(nn.Module):
    """f(s) = I + unit * g(s, I): the mean image of a label map s, around its average intensity map I.

    The network g is the denoiser's, narrower, at its first step, with I in place of the noisy image. It starts as zero,
    so that f starts as I.

    Args:
        options: its size.
        prior: organ means and scales of the training split.

    Attributes:
        unit: of what g predicts, HU, float32 [K]: each label's own spread around its organ mean.
    """

    unit: torch.Tensor

    def __init__(self, options: OrganMeansSettings, prior: Prior):
        super().__init__()
        self._signal = Signal("variation", "organ", prior)
        self.net = Denoiser(prior.classes, ("labels",), options.network)
        self.register_buffer("unit", torch.tensor(prior.organ_sd, dtype=torch.float32))

    def forward(self, label_map: torch.Tensor) -> torch.Tensor:
        """g, float [N, 1, H, W], for a label map int64 [N, H, W]."""
        step = torch.zeros(len(label_map), dtype=torch.long, device=label_map.device)
        return self.net(self._signal.prior_channel(label_map), step, label_map)

    @torch.no_grad()
    def mean(self, label_map: torch.Tensor) -> torch.Tensor:
        """f in HU, float32 [N, 1, H, W], in full precision: what is subtracted must be what is added again."""
        with torch.autocast(label_map.device.type, enabled=False):
            return self._signal.prior_map(label_map) + self.unit[label_map][:, None] * self(label_map)

    def loss(self, hu: torch.Tensor, label_map: torch.Tensor) -> torch.Tensor:
        """Mean squared error in its unit, float32."""
        wanted = (hu[:, None].float() - self._signal.prior_map(label_map)) / self.unit[label_map][:, None]
        return functional.mse_loss(self(label_map).float(), wanted)


class Fitted(NamedTuple):
    """Root mean squares of x - f over the pixels of some slices, HU: over all of them, and over those of each label."""

    whole: float
    own: tuple[float, ...]


def fit_mean(
    network: MeanNetwork,
    options: OrganMeansSettings,
    data: TrainingData,
    validation: TrainingData | None,
    batch: int,
    seed: int,
    run: Run,
) -> Fitted:
    """Train a mean network on the training slices, before the diffusion.

    It is kept beside the saved state of the training; where a training is resumed it is taken up from there, and not
    learnt again. Validation slices are looked at and decide nothing.

    Args:
        network: on its device.
        options: length and weight decay of the training.
        data: slices of the training split.
        validation: slices of the validation split, ``None`` where there are none.
        batch: slices per step.
        seed: of the training.
        run: of the diffusion; losses of this training are in the folder ``mean`` beside its own.

    Returns:
        The spread of what is left to the diffusion.
    """
    device = network.unit.device
    kept = run.resume.beside("mean")
    if state := kept.load():
        network.load_state_dict(state["mean"])
    else:
        losses = run.losses.parent / "mean" / run.losses.name
        losses.parent.mkdir(parents=True, exist_ok=True)
        own = dataclasses.replace(run, losses=losses, resume=Resume(None), tensorboard=None, compile=False)
        seed, part = derived_seed(seed, "mean network"), part_of(batch, "diffusion.training.batch")
        feed = Feed(data, Batches(len(data), batch, seed), part, options.steps, device)

        def loss_at(step: int) -> torch.Tensor:
            hu, label_map, *_ = feed.at(step)
            return network.loss(hu, label_map.long())

        schedule = Schedule(options.steps, LEARNING_RATE, cosine=True)
        validate = None if validation is None else functools.partial(_loss_over, network, validation, batch)
        decay = options.weight_decay
        train(network, loss_at, schedule, own, batch=batch, weight_decay=decay, validate=validate, name="learnt mean")
        kept.save(lambda: {"step": options.steps, "mean": network.state_dict()})
    network.eval()
    left = residual(network, data, batch)
    log.info("learnt mean: %.1f HU are left of %.1f around the organ means", left.whole, data.prior.variation_sd)
    return left


def residual(network: MeanNetwork, data: TrainingData, batch: int) -> Fitted:
    """The spread of x - f over the slices of some data."""
    squares, pixels = torch.zeros(2, data.prior.classes, dtype=torch.float64)
    for hu, label_map in _batches(data, batch, network.unit.device):
        square = (hu[:, None].float() - network.mean(label_map)).double().square().flatten().cpu()
        ids = label_map.flatten().cpu()
        squares += torch.bincount(ids, square, data.prior.classes)
        pixels += torch.bincount(ids, minlength=data.prior.classes)
    return Fitted(*own_scales(squares.numpy(), pixels.numpy()))


def _loss_over(network: MeanNetwork, data: TrainingData, batch: int) -> float:
    losses = [float(network.loss(hu, ids)) * len(hu) for hu, ids in _batches(data, batch, network.unit.device)]
    return sum(losses) / len(data)


def _batches(data: TrainingData, batch: int, device: torch.device):
    """HU and label map int64 [n, H, W] of all slices."""
    for rows in torch.arange(len(data)).split(batch):
        hu, label_map, *_ = data.batch(rows)
        yield hu.to(device), label_map.long().to(device)
