"""Volumes whose slices lie nearer or farther apart than those that a generator learnt from (paper, section 2.2).

A generator that is shown the slice below learnt how much changes over one distance, that of neighbouring slices in its
training scans. Labels of another distance are brought to it and the slices back, so that every slice of the labels gets
the CT of exactly its own label map.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pivm.generators.model_folder import BelowMm
    from pivm.generators.protocol import Generator, Spacing

log = logging.getLogger("pivm")
#: distances that differ by less than this factor count as alike
ALIKE = 1.5


@dataclass(frozen=True)
class Stacks:
    """The stacks that a volume is made in.

    Attributes:
        slices: of each stack, bottom up, the slice of the labels that each of its slices has the label map of.
        every: of its slices, the first and each so manieth is kept.
        step_mm: distance of the slices of a stack.
    """

    slices: tuple[np.ndarray, ...]
    every: int
    step_mm: float


def plan_stacks(count: int, step_mm: float, below_mm: BelowMm | None) -> Stacks:
    """How a volume is made at about the distance of slices that was learnt.

    Nearer slices: every n-th follows the other, in n stacks. Farther ones: slices with the label map of the nearer of
    two are put between these, made, and left out.

    Args:
        count: slices of the labels.
        step_mm: their distance.
        below_mm: what was learnt; ``None`` for a generator that is not shown the slice below.

    >>> from pivm.generators.model_folder import BelowMm
    >>> plan_stacks(5, 2.5, BelowMm(5, 5, 5)).slices
    (array([0, 2, 4]), array([1, 3]))
    >>> plan_stacks(3, 10, BelowMm(5, 5, 5)).slices, plan_stacks(3, 10, BelowMm(5, 5, 5)).every
    ((array([0, 1, 1, 2, 2]),), 2)
    """
    ratio = step_mm / _nearest(step_mm, below_mm) if below_mm and count > 1 else 1.0
    if ratio > ALIKE:
        n = round(ratio)
        return Stacks(((np.arange((count - 1) * n + 1) + n // 2) // n,), n, step_mm / n)
    n = round(1 / ratio) if ratio * ALIKE < 1 else 1
    return Stacks(tuple(np.arange(start, count, n) for start in range(min(n, count))), 1, step_mm * n)


def _nearest(step_mm: float, below_mm: BelowMm) -> float:
    """The distance that was learnt which is nearest to another one."""
    return float(np.clip(step_mm, below_mm.low, below_mm.high))


def generate_volumes(
    generator: Generator,
    below_mm: BelowMm | None,
    names: Sequence[str],
    label_maps: Sequence[np.ndarray],
    seeds: Sequence[int],
    spacings_mm: Sequence[Spacing],
) -> list[np.ndarray]:
    """Whole volumes, at about the distance of slices that was learnt; a warning names a distance that is another one.

    Args:
        generator: a trained one.
        below_mm: from a slice to the one below in its training (:class:`pivm.generators.model_folder.TrainedOn`).
        names: of the volumes, for the warning.
        label_maps: one uint8 [S, H, W] per volume.
        seeds: one per volume; its stacks start from the same noise.
        spacings_mm: along W, H and z, one per volume.

    Returns:
        int16 HU [S, H, W] per volume, in order.
    """
    learnt = below_mm if generator.sees_below else None
    plans = [plan_stacks(len(m), mm[2], learnt) for m, mm in zip(label_maps, spacings_mm, strict=True)]
    parts, part_seeds, part_spacings = [], [], []
    for name, label_map, seed, spacing, plan in zip(names, label_maps, seeds, spacings_mm, plans, strict=True):
        if learnt and plan.step_mm != spacing[2]:
            _warn(name, spacing[2], learnt, plan)
        for slices in plan.slices:
            parts.append(label_map[slices])
            part_seeds.append(seed)
            part_spacings.append((*spacing[:2], plan.step_mm))
    made = iter(generator.generate_volumes(parts, part_seeds, part_spacings))
    volumes = [np.zeros(label_map.shape, np.int16) for label_map in label_maps]
    for volume, plan in zip(volumes, plans, strict=True):
        for slices in plan.slices:
            volume[slices[:: plan.every]] = next(made)[:: plan.every]
    return volumes


def _warn(name: str, step_mm: float, learnt: BelowMm, plan: Stacks) -> None:
    nearest, stacks = _nearest(step_mm, learnt), len(plan.slices)
    factor = max(step_mm / nearest, nearest / step_mm)
    if plan.every > 1:
        how = f"{plan.every} are made for each of them, one of which is kept"
    else:
        how = f"they are made in {stacks} stacks, each slice from the one {plan.step_mm:.3g} mm below"
    log.warning(
        "%s: slices lie %.3g mm apart, but the generator learnt from slices %.3g mm apart (four in five scans: %.3g to "
        "%.3g), which is another distance by a factor of %.2g; %s",
        *(name, step_mm, learnt.median, learnt.low, learnt.high, factor, how),
    )
