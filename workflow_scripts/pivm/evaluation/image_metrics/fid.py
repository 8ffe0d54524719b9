"""FID: the Fréchet distance on the features of Inception v3, and on no others (Heusel et al. 2017)."""

from __future__ import annotations

from pivm.evaluation.image_metrics.frechet_distance import distance_of
from pivm.evaluation.metrics import PatientMetric

METRIC = PatientMetric(
    key="fid",
    title="FID",
    better="lower",
    scale="log",
    digits=2,
    order=2,
    note="Inception v3 trained on ImageNet",
    features=True,
    paired=False,
    companions=("kid",),
    extractor="inception",
    compute=distance_of,
)
