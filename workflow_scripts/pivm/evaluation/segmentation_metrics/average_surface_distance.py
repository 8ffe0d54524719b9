"""Average symmetric surface distance: the mean over both surfaces, weighted by their length or area."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric

METRIC = SegmentationMetric(
    key="average_surface_distance",
    title="Average Surface Dist.",
    better="lower",
    unit="mm",
    digits=1,
    scale="log",
    order=2,
    cases="classes that truth and prediction both hold",
    compute=lambda masks: masks.distances and masks.distances.average,
)
