"""What is diffused: the variation v = x - I, or absolute HU (paper, section 2)."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

from pivm.cohort.prior import Prior


@dataclass(frozen=True)
class Signal:
    """What is diffused, and how HU become the network's units of about unit variance.

    ``variation``: (x - I) / s, where s is one scale for the whole training split (``global``) or one per label
    (``organ``: section 2.2 speaks of noise scaled to local intensity statistics).
    ``absolute``: (x - mean) / sd, with one mean and one sd for the whole training split.
    """

    target: str
    scaling: str
    prior: Prior

    def baseline(self, label_map: torch.Tensor) -> torch.Tensor:
        """What is subtracted from HU, float [N, 1, H, W]."""
        if self.target == "absolute":
            return torch.full((len(label_map), 1, 1, 1), self.prior.absolute_mean, device=label_map.device)
        return self.prior_map(label_map)

    def scale(self, label_map: torch.Tensor) -> float | torch.Tensor:
        """What HU are divided by after that."""
        if self.target == "absolute":
            return self.prior.absolute_sd
        if self.scaling == "global":
            return self.prior.variation_sd
        return _per_label(self.prior.organ_sd, label_map)

    def prior_map(self, label_map: torch.Tensor) -> torch.Tensor:
        """Prior map I in HU, float [N, 1, H, W]: the mean of each pixel's label."""
        return _per_label(self.prior.means, label_map)

    def encode(self, hu: torch.Tensor, label_map: torch.Tensor) -> torch.Tensor:
        """HU [N, H, W] to the network's units [N, 1, H, W]."""
        return (hu[:, None].float() - self.baseline(label_map)) / self.scale(label_map)

    def decode(self, signal: torch.Tensor, label_map: torch.Tensor) -> torch.Tensor:
        """The inverse of :meth:`encode`: int16 HU [N, H, W], kept to the range of the training data."""
        hu = signal * self.scale(label_map) + self.baseline(label_map)
        return hu[:, 0].round().clamp(*self.prior.hu_range).to(torch.int16)

    def prior_channel(self, label_map: torch.Tensor) -> torch.Tensor:
        """The prior map as an input channel, standardised as absolute HU."""
        return (self.prior_map(label_map) - self.prior.absolute_mean) / self.prior.absolute_sd


def _per_label(values: tuple[float, ...], label_map: torch.Tensor) -> torch.Tensor:
    return _table(values, label_map.device)[label_map][:, None]


@functools.cache
def _table(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """One copy per device, not one per step."""
    return torch.tensor(values, dtype=torch.float32, device=device)
