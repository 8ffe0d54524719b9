"""Hausdorff distance, where a class that only one mask holds counts as the diagonal of a slice."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric

METRIC = SegmentationMetric(
    key="hausdorff_distance_penalised",
    title="Penalised Hausdorff Distance",
    better="lower",
    unit="mm",
    digits=1,
    scale="log",
    order=7,
    cases="classes that truth or prediction holds, the diagonal of a slice where only one does",
    compute=lambda masks: masks.penalised(masks.distances and masks.distances.hausdorff),
)
