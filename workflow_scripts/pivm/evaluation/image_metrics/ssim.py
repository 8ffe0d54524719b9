"""Structural similarity (Wang et al. 2004), the mean over slices (paper, section 3.2 and Table 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pivm.evaluation.metrics import PatientMetric

if TYPE_CHECKING:
    from pivm.evaluation.patient_images import PatientImages


class Ssim(NamedTuple):
    """SSIM of slices, each the mean over slices.

    Attributes:
        whole: over the slice without its border of 5 pixels.
        inside: over every pixel of the patient's outline; NaN where no slice has one, which is no score and not 0.
    """

    whole: float
    inside: float


def ssim(real: np.ndarray, synthetic: np.ndarray, body: np.ndarray, window: tuple[float, float]) -> Ssim:
    """SSIM of slices that belong together.

    Wang et al. 2004: Gaussian weights of sigma 1.5 on 11 x 11 pixels, K1 = 0.01, K2 = 0.03. Its luminance term wants
    intensities from 0 up, so HU count from the lower end of the window; the data range is the window's width.

    Args:
        real: HU [N, H, W].
        synthetic: HU [N, H, W].
        body: bool [N, H, W], outline of the patient; a slice without one counts in the first mean alone.
        window: HU range to which the slices are clipped.
    """
    from skimage.metrics import structural_similarity

    low, high = window
    whole, inside = [], []
    for real_slice, synthetic_slice, outline in zip(real, synthetic, body, strict=True):
        x, y = (np.clip(hu, low, high).astype(np.float64) - low for hu in (real_slice, synthetic_slice))
        value, similarity = structural_similarity(  # pyright: ignore[reportAssignmentType] - two values with `full`
            x, y, data_range=float(high - low), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        whole.append(value)
        if outline.any():
            inside.append(similarity[outline].mean())
    return Ssim(float(np.mean(whole)), float(np.mean(inside)) if inside else float("nan"))


def ssim_of(images: PatientImages) -> Ssim:
    """SSIM of the slices of one patient."""
    return ssim(images.real.hu, images.synthetic.hu, images.body, images.window)


METRIC = PatientMetric(
    key="ssim",
    title="SSIM",
    better="higher",
    order=0,
    note="Gaussian window of sigma 1.5, mean over slices",
    companions=("ssim_body",),
    compute=lambda images: images.once(ssim_of).whole,
)
