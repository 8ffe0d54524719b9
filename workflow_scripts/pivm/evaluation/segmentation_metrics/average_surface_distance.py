"""Average symmetric surface distance: the mean over the surface voxels of both masks."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric

METRIC = SegmentationMetric(
    key="average_surface_distance",
    title="Average Surface Dist.",
    unit="mm",
    better="lower",
    digits=1,
    order=1,
    compute=lambda masks: masks.surface_distances.average_mm,
    of_missed=lambda masks: masks.diagonal_mm,
)
