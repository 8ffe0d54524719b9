"""Dice coefficient of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pivm.evaluation.metrics import SegmentationMetric

if TYPE_CHECKING:
    from pivm.evaluation.overlap import ClassMasks


def dice(masks: ClassMasks) -> float:
    """2 |A ∩ B| / (|A| + |B|) in voxels."""
    return 2 * masks.common_voxels / (masks.truth_voxels + masks.predicted_voxels)


METRIC = SegmentationMetric(
    key="dice",
    title="Dice Coefficient",
    better="higher",
    order=3,
    compute=dice,
    of_missed=lambda masks: 0.0,
)
