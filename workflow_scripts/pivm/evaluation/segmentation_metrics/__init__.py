"""The metrics of Tables 2 and 3, one module each."""

from __future__ import annotations

from pivm.evaluation.metrics import SegmentationMetric, find_metrics

#: key -> metric, in the order of the columns of the cases
SEGMENTATION_METRICS: dict[str, SegmentationMetric] = find_metrics(__name__, __path__, SegmentationMetric)
