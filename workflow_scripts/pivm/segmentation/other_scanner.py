"""Test slices as another scanner would show them: another contrast phase, then its blur and its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, special

from pivm.cohort.store import SliceStore
from pivm.scans.inplane import AIR_HU
from pivm.seeds import derived_seed
from pivm.settings import setting

#: organs that take up contrast, by their names in :data:`pivm.labels.ORGANS_34`
ENHANCING = frozenset(
    {
        *("aorta", "inferior_vena_cava", "portal_vein_and_splenic_vein", "kidney_right", "kidney_left"),
        *("liver", "spleen", "pancreas"),
    }
)
#: blood and parenchyma without contrast, HU
UNENHANCED_HU = 40.0
#: full width at half maximum of a Gaussian, in units of its standard deviation
FWHM = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True)
class ShiftSettings:
    """Config section ``evidence.shifted``: what another scanner makes of the same patient."""

    noise_hu: float = setting("standard deviation of white Gaussian noise in each pixel, HU", 10.0, minimum=0)
    blur_mm: float = setting(
        "full width at half maximum (FWHM) of a Gaussian blur in the slice, mm", 3.0, minimum=0, maximum=50
    )
    enhancement: float = setting(
        "another contrast phase: factor on what aorta, veins, kidneys, liver, spleen and pancreas have above 40 HU",
        0.6,
        minimum=0,
        maximum=5,
    )


def shifted_slices(
    store: SliceStore, rows: np.ndarray, names: Sequence[str], settings: ShiftSettings, seed: int
) -> np.ndarray:
    """Slices of one scan as another scanner would show them.

    Args:
        store: the slice store.
        rows: of the scan.
        names: of the labels, in the order of their ids.
        settings: of the other scanner.
        seed: of the noise, which follows from it, the scan and the position of the slice alone.

    Returns:
        int16 HU [N, H, W].
    """
    index = store.index.iloc[rows]
    seeds = [derived_seed(seed, "other scanner", *place) for place in zip(index["subject"], index["z"], strict=True)]
    pixel_mm = float(index["pixel_mm"].iloc[0])
    return shift(np.asarray(store.hu[rows]), np.asarray(store.labels[rows]), names, pixel_mm, settings, seeds)


def shift(
    hu: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    pixel_mm: float,
    settings: ShiftSettings,
    seeds: Sequence[int],
) -> np.ndarray:
    """The same on arrays: contrast, which is the patient's, comes first, then the blur, and noise last.

    Args:
        hu: int16 [N, H, W], the slices of one scan.
        labels: uint8 of the same shape, 0 = background.
        names: of the labels, in the order of their ids; what no name of :data:`ENHANCING` stands for keeps its HU.
        pixel_mm: side of a pixel.
        settings: of the other scanner.
        seeds: of the noise, one per slice.

    Returns:
        int16 of the same shape, not below -1024 HU.
    """
    seen = hu.astype(np.float64)
    for label, name in enumerate(names, start=1):
        organ = labels == label
        if name in ENHANCING and organ.any():
            # the median, as rims of small organs share their pixels with fat
            enhanced = max(float(np.median(hu[organ])) - UNENHANCED_HU, 0.0)
            seen[organ] += (settings.enhancement - 1) * enhanced
    if settings.blur_mm:
        seen = blur(seen, settings.blur_mm / FWHM / pixel_mm)
    if settings.noise_hu:
        shape = seen.shape[1:]
        seen += [np.random.default_rng(seed).normal(0, settings.noise_hu, shape) for seed in seeds]
    return np.clip(np.rint(seen), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)


def blur(slices: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of each slice by the discrete Gaussian (Lindeberg, PAMI 12:234, 1990).

    Its variance is right below a pixel as well, where a sampled Gaussian is one pixel and nothing beside it.

    Args:
        slices: float [N, H, W].
        sigma: standard deviation, pixels.
    """
    reach = math.ceil(4 * sigma) + 2
    kernel = special.ive(np.abs(np.arange(-reach, reach + 1)), sigma**2)
    kernel /= kernel.sum()
    for axis in (1, 2):
        slices = ndimage.correlate1d(slices, kernel, axis, mode="nearest")
    return slices
