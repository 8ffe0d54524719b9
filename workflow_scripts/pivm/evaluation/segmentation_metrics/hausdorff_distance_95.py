"""Robust Hausdorff distance: 95 % of either surface lies nearer to the other one."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric

METRIC = SegmentationMetric(
    key="hausdorff_distance_95",
    title="Hausdorff Distance 95 %",
    better="lower",
    unit="mm",
    digits=1,
    scale="log",
    order=1,
    cases="classes that truth and prediction both hold",
    compute=lambda masks: masks.distances and masks.distances.hausdorff_95,
)
