"""Kernel distance of the features of all patients' slices together (Bińkowski et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pivm.evaluation.metrics import PooledMetric

if TYPE_CHECKING:
    from pivm.evaluation.patient_images import PatientImages


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """Kernel distance: unbiased squared MMD with the kernel (x·y / F + 1)³ (Bińkowski et al. 2018).

    May be slightly negative for samples of one distribution.

    Args:
        a: features float64 [N, F].
        b: features float64 [N, F].
    """
    import torch

    from pivm.learning.torchvision_import import allow_torchvision_import

    allow_torchvision_import()
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    features = torch.from_numpy(a), torch.from_numpy(b)
    return kid_features_to_metric(*features, kid_subsets=1, kid_subset_size=len(a), verbose=False)[KEY_METRIC_KID_MEAN]


def kid_of(patients: Sequence[PatientImages]) -> float:
    """KID × 1000 of the slices of several patients, pooled; in this scale everywhere, files included."""
    real = np.concatenate([images.real.features for images in patients])
    return 1000 * kid(real, np.concatenate([images.synthetic.features for images in patients]))


METRIC = PooledMetric(
    key="kid",
    title="KID × 1000",
    better="lower",
    digits=1,
    order=3,
    note="KID × 1000 on the same features",
    features=True,
    paired=False,
    compute=kid_of,
)
