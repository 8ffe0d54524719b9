"""Faults that real scans and labels are known for: found, counted, and handled as the config says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pivm.errors import DataError
from pivm.scans.inplane import AIR_HU
from pivm.scans.nifti import Grid, Volume
from pivm.settings import setting

#: below any HU of a scanner but for overshoot at edges: padding outside the field of view, or broken voxels
PADDING_HU = -1500
#: slices thicker than this many pixels in the axial plane were not acquired axially
MAX_IN_PLANE_RATIO = 3.0
#: deviation of the axes from right angles, degrees
MAX_SHEAR_DEGREES = 1.0
#: a corner that is constant above this is padding which is not air
CORNER_HU = -500
#: masks smaller than this are counted as tiny, ml
TINY_ML = 0.05


@dataclass(frozen=True)
class QualitySettings:
    """Config section ``quality``: faults that real scans are known for. ``aside`` sets the scan aside."""

    padding: Literal["air", "keep", "aside"] = setting(
        "voxels below -1500 HU, outside any field of view: air (set to -1024), keep, or aside", "air"
    )
    other_grid: Literal["aside", "resample"] = setting(
        "labels on another grid than the CT: aside, or resample (nearest neighbour, by affine)", "aside"
    )
    left_right: Literal["aside", "keep"] = setting(
        "most left organs lie right of the right ones: aside or keep", "aside"
    )
    front_back: Literal["aside", "keep"] = setting(
        "most front organs lie behind the back ones (spine before aorta): aside or keep", "aside"
    )
    up_down: Literal["aside", "keep"] = setting(
        "most upper organs lie below the lower ones (T10 below L5): aside or keep", "aside"
    )
    organ_hu: tuple[float, float] = setting(
        "smallest and largest median HU of selection.organs", (-100.0, 300.0), minimum=-2048, maximum=4096
    )
    spacing_mm: tuple[float, float] = setting("smallest and largest voxel side, mm", (0.2, 15.0), above=0, maximum=1000)
    max_oblique_degrees: float = setting(
        "largest angle between the voxel axes and R, A, S, degrees", 30.0, minimum=0, maximum=45
    )


def check_grid(grid: Grid, quality: QualitySettings) -> None:
    """Turn away grids that axial slices cannot be cut from.

    Args:
        grid: of a CT, or of labels that have none.
        quality: config section ``quality``.

    Raises:
        DataError: spacing outside ``spacing_mm``, sheared or oblique axes, or slices that are not axial.
    """
    low, high = quality.spacing_mm
    text = " x ".join(f"{s:.3g}" for s in grid.spacing)
    if min(grid.spacing) < low or max(grid.spacing) > high:
        raise DataError(f"spacing {text} mm, quality.spacing_mm wants {low:g} to {high:g}")
    axes = grid.affine[:3, :3] / np.array(grid.spacing)
    shear = 90 - np.degrees(np.arccos(np.clip(np.abs(np.triu(axes.T @ axes, 1)).max(), 0, 1)))
    if shear > MAX_SHEAR_DEGREES:
        raise DataError(f"axes {shear:.3g} degrees off right angles: gantry tilt or shear, which is not resampled")
    tilt = float(np.degrees(np.arccos(np.clip(np.abs(axes).max(axis=0).min(), 0, 1))))
    if tilt > quality.max_oblique_degrees:
        raise DataError(
            f"oblique: an axis is {tilt:.3g} degrees off R, A or S, "
            f"quality.max_oblique_degrees wants at most {quality.max_oblique_degrees:g}"
        )
    ratio = max(grid.spacing[:2]) / min(grid.spacing[:2])
    if ratio > MAX_IN_PLANE_RATIO:
        raise DataError(f"spacing {text} mm along R, A, S: acquired in coronal or sagittal slices, not axial ones")


def clean_padding(volume: Volume, policy: str) -> None:
    """Handle voxels below :data:`PADDING_HU`, in place.

    Args:
        policy: ``air`` (they become -1024 HU), ``keep`` or ``aside``.

    Raises:
        DataError: under ``aside``; or the corners hold a constant that is not air.
    """
    if volume.padding and policy == "aside":
        raise DataError(f"{volume.padding} voxels below {PADDING_HU} HU (quality.padding: aside)")
    if volume.padding and policy == "air":
        for k in range(volume.hu.shape[2]):
            one = volume.hu[:, :, k]
            one[one < PADDING_HU] = AIR_HU
    edges = volume.hu[[0, 0, -1, -1], [0, -1, 0, -1]].ravel()
    values, counts = np.unique(edges, return_counts=True)
    if counts.max() > max(edges.size / 2, 8) and values[counts.argmax()] > CORNER_HU:
        raise DataError(f"the corners hold the constant {values[counts.argmax()]} HU: padding that is not air")


def check_organ_hu(hu: np.ndarray, labels: np.ndarray, organs: Sequence[int], allowed: tuple[float, float]) -> None:
    """Turn away scans whose organs have implausible HU: unshifted, of a foreign scale, or misplaced masks.

    Args:
        hu: int16 [N, H, W]; labels: uint8 [N, H, W]; organs: ids looked at; allowed: range of their median, HU.

    Raises:
        DataError: the median lies outside.
    """
    values = hu[np.isin(labels, organs)]
    median = float(np.median(values)) if values.size else 0.0
    if values.size and not allowed[0] <= median <= allowed[1]:
        raise DataError(
            f"median of selection.organs is {median:g} HU, quality.organ_hu wants {allowed[0]:g} to {allowed[1]:g}: "
            "HU are unshifted or of a foreign scale, or the masks belong to another scan"
        )
