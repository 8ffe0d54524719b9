"""Intersection over union of a class; its mean over the classes is the mIoU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pivm.evaluation.metrics import SegmentationMetric

if TYPE_CHECKING:
    from pivm.evaluation.overlap import ClassMasks


def intersection_over_union(masks: ClassMasks) -> float | None:
    """|A ∩ B| / |A ∪ B| in voxels, 0 for a class that is missed; None where the truth lacks it."""
    if not masks.truth_voxels:
        return None
    union = masks.truth_voxels + masks.predicted_voxels - masks.common_voxels
    return masks.common_voxels / union


METRIC = SegmentationMetric(
    key="miou",
    title="mIoU",
    better="higher",
    scale="logit",
    order=3,
    cases="classes that the truth holds",
    compute=intersection_over_union,
)
