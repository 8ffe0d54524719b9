"""Fidelity of synthetic slices to the real slices of the same label maps (paper, section 3.2 and Table 1)."""

from __future__ import annotations

import numpy as np
import torch
from skimage.metrics import structural_similarity

from pivm.learning.torchvision_import import allow_torchvision_import


def ssim(real: np.ndarray, made: np.ndarray, body: np.ndarray, window: tuple[float, float]) -> tuple[float, float]:
    """(SSIM, SSIM inside the body), each the mean over slices.

    Wang et al. 2004: Gaussian weights of sigma 1.5 on 11 x 11 pixels, K1 = 0.01, K2 = 0.03. Its luminance term wants
    intensities from 0 up, so HU count from the lower end of the window; the data range is the window's width. SSIM
    leaves out the border of 5 pixels; inside the body, every pixel of the outline counts.

    Args:
        real, made: HU [N, H, W], clipped to ``window``; body: bool [N, H, W], outline of the patient; slices
            without an outline count in the first mean alone.
    """
    low, high = window
    whole, inside = [], []
    for x, y, mask in zip(real, made, body, strict=True):
        x, y = (np.clip(image, low, high).astype(np.float64) - low for image in (x, y))
        value, map_ = structural_similarity(
            x, y, data_range=float(high - low), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        whole.append(value)
        if mask.any():
            inside.append(map_[mask].mean())
    return float(np.mean(whole)), float(np.mean(inside))


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two Gaussians with the mean and covariance of the samples (Heusel et al. 2017).

    The samples are first rotated into their common span, which changes no distance. With fewer samples than
    features that is some hundred times faster, and rounding errors of eigenvalues that are zero do not add up.

    Args:
        a, b: features float64 [N, F] and [M, F], N and M at least 2.
    """
    allow_torchvision_import()
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    span, _ = np.linalg.qr(np.concatenate([a, b]).T)
    one, two = (fid_features_to_statistics(torch.from_numpy(x @ span)) for x in (a, b))
    return float(fid_statistics_to_metric(one, two, verbose=False)[KEY_METRIC_FID])


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """Kernel distance: unbiased squared MMD with the kernel (x·y / F + 1)³ (Bińkowski et al. 2018).

    Args:
        a, b: features float64 [N, F]; may be slightly negative for samples of one distribution.
    """
    allow_torchvision_import()
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    one, two = torch.from_numpy(a), torch.from_numpy(b)
    return kid_features_to_metric(one, two, kid_subsets=1, kid_subset_size=len(a), verbose=False)[KEY_METRIC_KID_MEAN]


def kid_without_each(real: list[np.ndarray], made: list[np.ndarray]) -> list[float]:
    """KID of all patients' slices pooled, with each patient left out in turn; empty for a single patient.

    :func:`pivm.evaluation.statistics.jackknife_interval` makes the interval of it.

    Args:
        real: per patient, features [n, F] of its real slices.
        made: the same of its synthetic slices.
    """
    n = len(real)
    others = [[i for i in range(n) if i != left_out] for left_out in range(n)] if n > 1 else []
    return [kid(np.concatenate([real[i] for i in o]), np.concatenate([made[i] for i in o])) for o in others]


def same_number_of_real(rows: dict[str, np.ndarray], start: int, count: int) -> np.ndarray:
    """As many real slices of other patients: evenly spaced over one of them, or over several if it has too few.

    Args:
        rows: patient -> store rows of the slices to choose from; start: number of the patient to begin with.
    """
    patients = list(rows)
    pool = np.zeros(0, int)
    for i in range(len(patients)):
        if len(pool) >= count:
            break
        pool = np.concatenate([pool, rows[patients[(start + i) % len(patients)]]])
    return pool[np.linspace(0, len(pool) - 1, count).round().astype(int)]
