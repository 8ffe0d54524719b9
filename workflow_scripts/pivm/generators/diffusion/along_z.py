"""Volumes along z: start noise that neighbouring slices share where it is coarse, and which slices are made at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from pivm.generators.protocol import Spacing
from pivm.seeds import step_generator

#: slices of a volume that are made one after the other; such stretches of it go up side by side
STRETCH = 32
#: slices of volumes that are made in one batch
AT_ONCE = 16


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


def coupled_slices(label_map: np.ndarray, seed: int, spacing_mm: Spacing, reach: float) -> torch.Tensor:
    """The start noise [S, 1, H, W] of the slices of a volume [S, H, W]."""
    width_mm, height_mm, step_mm = spacing_mm
    noise = start_noise(label_map, range(seed, seed + len(label_map)))
    for z in range(1, len(noise) if reach else 0):
        noise[z] = coupled_noise(noise[z - 1], noise[z], (width_mm, height_mm), step_mm, reach)
    return noise


def stretches(slices: int) -> list[range]:
    """A volume of so many slices in parts of about :data:`STRETCH`.

    >>> stretches(70)
    [range(0, 35), range(35, 70)]
    """
    parts = max(round(slices / STRETCH), 1)
    ends = [slices * part // parts for part in range(parts + 1)]
    return [range(*pair) for pair in itertools.pairwise(ends)]


class Batch(NamedTuple):
    """Slices that are made together.

    Attributes:
        slices: z and number of the volume of each.
        blind: they are not shown the slice below, and made again when it is there: for the first slice of the
            stretch above them.
    """

    slices: list[tuple[int, int]]
    blind: bool


def batches(depths: Sequence[int]) -> Iterator[Batch]:
    """The slices of volumes in an order in which the slice below is there.

    All stretches of all volumes go up side by side. What the first slice of a stretch is shown is a first version of
    the slice below, from the same start noise.

    Args:
        depths: slices of each volume.

    >>> [batch.slices for batch in batches([2, 3])]
    [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(2, 1)]]
    """
    parts = [(part, i) for i, depth in enumerate(depths) for part in stretches(depth)]
    yield from _batches([(part[0] - 1, i) for part, i in parts if part[0]], True)
    for step in range(max(len(part) for part, _ in parts)):
        yield from _batches([(part[step], i) for part, i in parts if step < len(part)], False)


def _batches(slices: list[tuple[int, int]], blind: bool) -> Iterator[Batch]:
    for start in range(0, len(slices), AT_ONCE):
        yield Batch(slices[start : start + AT_ONCE], blind)
