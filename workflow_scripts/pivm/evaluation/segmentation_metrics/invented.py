"""Classes that the prediction holds and the truth lacks."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric

METRIC = SegmentationMetric(
    key="invented",
    title="Invented organs",
    better="lower",
    digits=1,
    factor=100,
    scale="logit",
    order=6,
    cases="classes that the truth lacks",
    compute=lambda masks: None if masks.truth_voxels else float(masks.is_invented),
)
