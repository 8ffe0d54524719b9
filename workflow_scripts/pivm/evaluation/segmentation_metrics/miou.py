"""Intersection over union of a class; its mean over the classes is the mIoU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pivm.evaluation.metrics import SegmentationMetric

if TYPE_CHECKING:
    from pivm.evaluation.overlap import ClassMasks


def intersection_over_union(masks: ClassMasks) -> float:
    """|A ∩ B| / |A ∪ B| in voxels."""
    union = masks.truth_voxels + masks.predicted_voxels - masks.common_voxels
    return masks.common_voxels / union


METRIC = SegmentationMetric(
    key="miou",
    title="mIoU",
    better="higher",
    order=2,
    compute=intersection_over_union,
    of_missed=lambda masks: 0.0,
)
