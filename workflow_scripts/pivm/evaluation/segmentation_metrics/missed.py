"""Classes of the truth that the prediction lacks altogether."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric

METRIC = SegmentationMetric(
    key="missed",
    title="Missed organs",
    better="lower",
    digits=1,
    factor=100,
    scale="logit",
    order=5,
    cases="classes that the truth holds",
    compute=lambda masks: float(masks.is_missed) if masks.truth_voxels else None,
)
