"""What MAISI sees: stacks of slices as volumes, cut into slabs of one depth; HU in [0, 1]; labels as bit-planes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from pivm.cohort.prior import Prior
from pivm.cohort.store import LabelStore, SliceStore
from pivm.errors import StateError
from pivm.generators.maisi.settings import MaisiSettings
from pivm.generators.protocol import Spacing

BITS = 8


@dataclass(frozen=True)
class Slab:
    """Geometry of a slab.

    Attributes:
        depth: slices per slab.
        overlap: slices that neighbouring slabs share.
        compression: of the autoencoder.
    """

    depth: int
    overlap: int
    compression: int

    def padded(self, slices: int) -> int:
        """Depth of a volume after padding: a multiple of the compression, at least one slab."""
        return max(self.depth, -(-slices // self.compression) * self.compression)

    def starts(self, depth: int) -> list[int]:
        """First slices of the slabs that cover a padded volume; the last slab ends where the volume ends."""
        last = depth - self.depth
        return sorted({*range(0, last, self.depth - self.overlap), last})


def slab_of(settings: MaisiSettings) -> Slab:
    """Geometry from the resolved settings of a generator."""
    return Slab(settings.slab.depth, settings.slab.overlap, settings.compression)


def ramp(depth: int) -> torch.Tensor:
    """Weights [depth] of a slab where slabs are blended: they rise linearly from either end to the middle."""
    rising = torch.arange(1, depth + 1, dtype=torch.float32)
    return torch.minimum(rising, rising.flip(0))


def blend(parts: torch.Tensor, starts: list[int], depth: int) -> torch.Tensor:
    """Weighted mean of overlapping slabs.

    Args:
        parts: [K, C, X, Y, d], the slabs.
        starts: first slice of each.
        depth: of the volume.

    Returns:
        [C, X, Y, depth].
    """
    weight = ramp(parts.shape[-1]).to(parts.device)
    total = parts.new_zeros((*parts.shape[1:-1], depth))
    weights = parts.new_zeros(depth)
    for part, start in zip(parts, starts, strict=True):
        total[..., start : start + len(weight)] += part * weight
        weights[start : start + len(weight)] += weight
    return total / weights


def to_unit(hu: torch.Tensor, hu_range: tuple[float, float]) -> torch.Tensor:
    """HU clipped to a range and mapped to [0, 1] (paper, section 3.2: MAISI's default preprocessing)."""
    low, high = hu_range
    return (hu.float().clamp(low, high) - low) / (high - low)


def to_hu(unit: torch.Tensor, hu_range: tuple[float, float]) -> torch.Tensor:
    """The inverse of :func:`to_unit` inside the range, rounded to int16 HU."""
    low, high = hu_range
    return (unit.clamp(0, 1) * (high - low) + low).round().to(torch.int16)


def bit_planes(ids: torch.Tensor) -> torch.Tensor:
    """Label ids uint8 [N, X, Y, Z] as float planes [N, 8, X, Y, Z], lowest bit first."""
    bits = torch.arange(BITS, device=ids.device).view(1, BITS, 1, 1, 1)
    return ((ids.long()[:, None] >> bits) & 1).float()


def to_ras(slices: np.ndarray) -> np.ndarray:
    """Slices [..., S, H, W] (row 0 anterior, column 0 the patient's right) to MAISI's axes [..., X, Y, Z] in RAS+."""
    return np.ascontiguousarray(np.swapaxes(slices, -1, -3)[..., ::-1, ::-1, :])


def from_ras(volume: np.ndarray) -> np.ndarray:
    """The inverse of :func:`to_ras`."""
    return np.ascontiguousarray(np.swapaxes(volume[..., ::-1, ::-1, :], -1, -3))


def pad_depth(slices: np.ndarray, depth: int) -> np.ndarray:
    """Repeat the last slice of [S, H, W] up to a depth."""
    return np.pad(slices, ((0, depth - len(slices)), (0, 0), (0, 0)), mode="edge")


def stack_of(store: LabelStore, row: int) -> np.ndarray:
    """Store rows of the stack that a slice belongs to: slices of its patient and role, from the bottom up."""
    index = store.index
    same = (index["subject"] == index["subject"][row]) & (index["role"] == index["role"][row])
    rows = np.flatnonzero(same.to_numpy())
    return rows[np.argsort(index["z"].to_numpy()[rows], kind="stable")]


def stack_spacing(store: LabelStore, row: int) -> Spacing:
    """Spacing (x, y, z) in mm of the stack that a slice belongs to."""
    pixel, step = (float(store.index[name][row]) for name in ("pixel_mm", "step_mm"))
    return pixel, pixel, step


def group_sources(store: LabelStore, sources: np.ndarray) -> list[list[int]]:
    """Positions in ``sources`` that are cut from one volume: one volume per stack, another where a slice comes again.

    Args:
        store: the slice store.
        sources: store rows; the n-th appearance of a row belongs to the n-th volume of its stack.
    """
    subjects, roles = (store.index[name].to_numpy() for name in ("subject", "role"))
    seen: Counter = Counter()
    groups: dict[tuple, list[int]] = {}
    for position, row in enumerate(sources):
        groups.setdefault((subjects[row], roles[row], seen[row]), []).append(position)
        seen[row] += 1
    return list(groups.values())


class SlabData:
    """Slabs of the stacks of one split, read from the store batch by batch.

    A stack is padded by repeating its last slice, so a slab is a list of store rows.

    Args:
        store: the slice store.
        prior: makes the label maps.
        rows: target slices to use, store rows.
        slab: geometry of the slabs.

    Attributes:
        rows: store rows of each slab.
        spacing: mm [N, 3] of each slab.
    """

    def __init__(self, store: SliceStore, prior: Prior, rows: np.ndarray, slab: Slab):
        self.store, self.prior = store, prior
        self.rows, spacing = [], []
        for first in _first_rows(store, rows):
            stack = stack_of(store, first)
            depth = slab.padded(len(stack))
            padded = stack[np.minimum(np.arange(depth), len(stack) - 1)]
            for start in slab.starts(depth):
                self.rows.append(padded[start : start + slab.depth])
                spacing.append(stack_spacing(store, first))
        if not self.rows:
            raise StateError("the slice store holds no stack of slices to train MAISI on")
        self.spacing = torch.tensor(spacing)

    def __len__(self) -> int:
        return len(self.rows)

    def hu(self, which: torch.Tensor) -> torch.Tensor:
        """HU int16 [N, 1, X, Y, Z]."""
        return torch.from_numpy(to_ras(self.store.hu[np.stack([self.rows[i] for i in which])]))[:, None]

    def label_map(self, which: torch.Tensor) -> np.ndarray:
        """Label map uint8 [N, X, Y, Z], as :meth:`Prior.label_map` gives it."""
        rows = np.stack([self.rows[i] for i in which])
        return to_ras(self.prior.label_map(self.store.labels[rows], self.store.body[rows]))


def _first_rows(store: SliceStore, rows: np.ndarray) -> list[int]:
    """The first of the rows of each patient, in order."""
    subjects = store.index["subject"].to_numpy()[rows]
    return [int(rows[np.flatnonzero(subjects == s)[0]]) for s in dict.fromkeys(subjects)]
