"""Hausdorff distance: the largest distance of a surface voxel of one mask to the surface of the other."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric

METRIC = SegmentationMetric(
    key="hausdorff_distance",
    title="Hausdorff Distance",
    unit="mm",
    better="lower",
    digits=1,
    order=0,
    compute=lambda masks: masks.surface_distances.hausdorff_mm,
    of_missed=lambda masks: masks.diagonal_mm,
)
