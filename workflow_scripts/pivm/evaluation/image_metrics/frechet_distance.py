"""Fréchet distance of the features of two sets of slices, on an extractor other than that of the FID."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pivm.evaluation.metrics import PatientMetric

if TYPE_CHECKING:
    from pivm.evaluation.patient_images import PatientImages


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two Gaussians with the mean and covariance of the samples (Heusel et al. 2017).

    The samples are first rotated into their common span, which changes no distance. With fewer samples than
    features that is some hundred times faster, and rounding errors of eigenvalues that are zero do not add up.

    Args:
        a: features float64 [N, F], N at least 2.
        b: features float64 [M, F], M at least 2.
    """
    import torch

    from pivm.learning.torchvision_import import allow_torchvision_import

    allow_torchvision_import()
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    span, _ = np.linalg.qr(np.concatenate([a, b]).T)
    of_a, of_b = (fid_features_to_statistics(torch.from_numpy(x @ span)) for x in (a, b))
    return float(fid_statistics_to_metric(of_a, of_b, verbose=False)[KEY_METRIC_FID])


def distance_of(images: PatientImages) -> float:
    """Distance of the real and the synthetic slices of one patient."""
    return frechet_distance(images.real.features, images.synthetic.features)


METRIC = PatientMetric(
    key="frechet_distance",
    title="Fréchet distance (EfficientNet-Lite0)",
    better="lower",
    scale="log",
    digits=2,
    order=2,
    note="EfficientNet-Lite0 trained on ImageNet (not comparable with a FID)",
    features=True,
    paired=False,
    companions=("kid",),
    renamed={"inception": "fid"},
    compute=distance_of,
)
