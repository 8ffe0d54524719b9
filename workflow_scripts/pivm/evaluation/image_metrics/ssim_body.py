"""Structural similarity over the pixels inside the patient's outline."""

from __future__ import annotations

from pivm.evaluation.image_metrics.ssim import ssim_of
from pivm.evaluation.metrics import PatientMetric

METRIC = PatientMetric(
    key="ssim_body",
    title="SSIM inside the body",
    better="higher",
    scale="fisher",
    order=1,
    note="inside the body outline",
    compute=lambda images: images.once(ssim_of).inside,
)
