"""Dice coefficient of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pivm.evaluation.metrics import SegmentationMetric

if TYPE_CHECKING:
    from pivm.evaluation.overlap import ClassMasks


def dice(masks: ClassMasks) -> float | None:
    """2 |A ∩ B| / (|A| + |B|) in voxels, 0 for a class that is missed; None where the truth lacks it."""
    if not masks.truth_voxels:
        return None
    return 2 * masks.common_voxels / (masks.truth_voxels + masks.predicted_voxels)


METRIC = SegmentationMetric(
    key="dice",
    title="Dice Coefficient",
    better="higher",
    scale="logit",
    order=4,
    cases="classes that the truth holds",
    compute=dice,
)
