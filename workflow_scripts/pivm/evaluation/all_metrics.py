"""Every metric that a table may show, by key."""

from __future__ import annotations

from pivm.evaluation.image_metrics import IMAGE_METRICS
from pivm.evaluation.metrics import Metric
from pivm.evaluation.region_fidelity import REGION_METRICS
from pivm.evaluation.segmentation_metrics import SEGMENTATION_METRICS

METRICS: dict[str, Metric] = {**SEGMENTATION_METRICS, **IMAGE_METRICS, **REGION_METRICS}
