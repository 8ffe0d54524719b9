"""Start noise of neighbouring slices: alike where its pattern is coarse, new where it is fine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from pivm.generators.protocol import Spacing
from pivm.seeds import step_generator

#: slices of volumes that take their first steps in one batch
AHEAD = 16


def coupled_noise(
    below: torch.Tensor, fresh: torch.Tensor, pixel_mm: tuple[float, float], step_mm: float, reach: float
) -> torch.Tensor:
    """The start noise of a slice, given that of the slice below.

    What the labels leave open (phase of the contrast agent, where gas lies in the bowel) is decided by the start noise.
    With new noise in every slice a volume decides it anew in every slice. Here each spatial frequency f is an
    autoregressive process along z with correlation exp(-step · f / reach): a pattern of wavelength w stays alike over
    ``reach`` · w, as anatomy does. Whatever the correlation, each slice alone has white noise, as in training.

    Args:
        below, fresh: white noise [..., H, W]; pixel_mm: (W, H) of a pixel; step_mm: distance of the slices.
        reach: above 0, in wavelengths.

    Returns:
        White noise of the same shape.
    """
    rows = torch.fft.fftfreq(below.shape[-2], pixel_mm[1])[:, None]
    columns = torch.fft.rfftfreq(below.shape[-1], pixel_mm[0])
    correlation = torch.exp(-step_mm / reach * (rows**2 + columns**2).sqrt())
    spectrum = correlation * torch.fft.rfft2(below) + (1 - correlation**2).sqrt() * torch.fft.rfft2(fresh)
    return torch.fft.irfft2(spectrum, s=below.shape[-2:])


def start_noise(label_map: np.ndarray, seeds: Sequence[int]) -> torch.Tensor:
    """White noise [N, 1, H, W] for slices of a label map [N, H, W], one seed each."""
    shape = (1, *label_map.shape[1:])
    return torch.stack([torch.randn(shape, generator=step_generator(seed, "start")) for seed in seeds])


def coupled_slices(label_map: np.ndarray, seed: int, spacing_mm: Spacing, reach: float) -> Iterator[torch.Tensor]:
    """The start noise [1, H, W] of the slices of a volume [S, H, W], from the bottom up."""
    width_mm, height_mm, step_mm = spacing_mm
    below = None
    for z in range(len(label_map)):
        (fresh,) = start_noise(label_map, [seed + z])
        if below is not None and reach:
            fresh = coupled_noise(below, fresh, (width_mm, height_mm), step_mm, reach)
        below = fresh
        yield below


def blocks(label_maps: Sequence[np.ndarray], most: int | None = None) -> Iterator[list[tuple[int, int]]]:
    """Slices (z, volume) of volumes [S, H, W] that advance together, from the bottom up.

    Args:
        label_maps: of the volumes.
        most: about so many at once; :data:`AHEAD` unless given.

    >>> list(blocks([np.zeros((2, 8, 8)), np.zeros((3, 8, 8))], 4))
    [[(0, 0), (0, 1), (1, 0), (1, 1)], [(2, 1)]]
    """
    deepest, height = max(map(len, label_maps)), max((most or AHEAD) // len(label_maps), 1)
    for first in range(0, deepest, height):
        heights = range(first, min(first + height, deepest))
        yield [(z, i) for z in heights for i, label_map in enumerate(label_maps) if z < len(label_map)]
