"""Hausdorff distance: the largest distance from the surface of one mask to that of the other."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric

METRIC = SegmentationMetric(
    key="hausdorff_distance",
    title="Hausdorff Distance",
    better="lower",
    unit="mm",
    digits=1,
    scale="log",
    order=0,
    cases="classes that truth and prediction both hold",
    compute=lambda masks: masks.distances and masks.distances.hausdorff,
)
