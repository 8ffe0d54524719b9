"""What is diffused: the variation v = x - I, or absolute HU (paper, section 2)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pivm.cohort.prior import Prior


@dataclass(frozen=True)
class Signal:
    """What is diffused, and how HU become the network's units of about unit variance.

    Attributes:
        target: ``variation`` or ``absolute``.
        scaling: unit of the variation: ``global``, one for the whole training split, or ``organ``, one per label
            (section 2.2 speaks of noise scaled to local intensity statistics).
        prior: organ means and scales of the training split.
        mean: label map int64 [N, H, W] -> HU [N, 1, H, W] in place of the average intensity map; ``None``: that map.

    Where slices are of patients with organ means of their own, ``means`` are these, float32 HU [N, K]; ``None`` stands
    for the data set's means.
    """

    target: str
    scaling: str
    prior: Prior
    mean: Callable[[torch.Tensor], torch.Tensor] | None = None

    def encode(self, hu: torch.Tensor, label_map: torch.Tensor, means: torch.Tensor | None = None) -> torch.Tensor:
        """HU to the network's units.

        ``variation``: v = (x - I) / s with the prior map I and a scale s on unclipped HU x. ``absolute``:
        (x - mean) / sd, with one mean and one sd for the whole training split.

        Args:
            hu: HU x [N, H, W].
            label_map: int64 [N, H, W].
            means: of the patients.

        Returns:
            float [N, 1, H, W].
        """
        return (hu[:, None].float() - self.baseline(label_map, means)) / self.scale(label_map)

    def decode(self, signal: torch.Tensor, label_map: torch.Tensor, means: torch.Tensor | None = None) -> torch.Tensor:
        """The inverse of :meth:`encode`: x = I + s v, kept to the range of the training data.

        Args:
            signal: float [N, 1, H, W].
            label_map: int64 [N, H, W].
            means: of the patients.

        Returns:
            int16 HU [N, H, W].
        """
        hu = signal * self.scale(label_map) + self.baseline(label_map, means)
        return hu[:, 0].round().clamp(*self.prior.hu_range).to(torch.int16)

    def baseline(self, label_map: torch.Tensor, means: torch.Tensor | None = None) -> torch.Tensor:
        """What is subtracted from HU, float [N, 1, H, W] or one value per slice."""
        if self.target == "absolute":
            return torch.full((len(label_map), 1, 1, 1), self.prior.absolute_mean, device=label_map.device)
        return self.prior_map(label_map, means)

    def scale(self, label_map: torch.Tensor) -> float | torch.Tensor:
        """What HU are divided by after that."""
        if self.target == "absolute":
            return self.prior.absolute_sd
        if self.scaling == "global":
            return self.prior.variation_sd
        return _per_label(self.prior.organ_sd, label_map)

    def prior_map(self, label_map: torch.Tensor, means: torch.Tensor | None = None) -> torch.Tensor:
        """The average intensity map I in HU (section 3.1), or what takes its place, float [N, 1, H, W]."""
        if self.mean is not None:
            return self.mean(label_map)
        if means is None:
            return _per_label(self.prior.means, label_map)
        return means.gather(1, label_map.flatten(1)).view(label_map.shape)[:, None]

    def prior_channel(self, label_map: torch.Tensor, means: torch.Tensor | None = None) -> torch.Tensor:
        """The prior map as an input channel, standardised as absolute HU."""
        return (self.prior_map(label_map, means) - self.prior.absolute_mean) / self.prior.absolute_sd


def _per_label(values: tuple[float, ...], label_map: torch.Tensor) -> torch.Tensor:
    return _table(values, label_map.device)[label_map][:, None]


@functools.cache
def _table(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """One copy per device, not one per step."""
    return torch.tensor(values, dtype=torch.float32, device=device)
