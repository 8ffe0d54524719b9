"""Distances between the surfaces of two masks (paper, Tables 2 and 3).

The test slices of a patient are samples of its anatomy, 20 to 25 mm apart while pixels are 6 mm
wide; between them nothing is known. Their surface is therefore the outline of the class in each slice (``contours``):
the polygon of marching squares, whose corners are the middles of the pixel edges between inside and outside, each
weighted by the length of outline around it. A distance is taken in 3D to the nearest such corner in any slice. In
volumes whose slices touch, it is within a quarter of the distance between two balls' surfaces that are 1 to 8 mm apart.

``surfels`` are the elements of the package ``surface-distance`` (Nikolov et al. 2018, arXiv:1809.04430): corners of the
voxel grid in 3D, weighted by area. They are there to compare volumes with figures published that way. On slices with
gaps their flat tops and bottoms outweigh the outlines, and below one voxel they lose up to two thirds of a distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

#: share of the surface whose distances lie below the robust Hausdorff distance
ROBUST_SHARE = 0.95

SurfaceKind = Literal["contours", "surfels"]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between the surfaces of two masks, mm.

    Attributes:
        average: over the elements of both surfaces, weighted by their length or area.
        hausdorff: the largest distance of any element to the other surface.
        hausdorff_95: the larger of the two directed distances below which 95 % of the surface lies.
    """

    average: float
    hausdorff: float
    hausdorff_95: float


def surface_distances(
    truth: np.ndarray, predicted: np.ndarray, spacing_mm: Sequence[float], surface: SurfaceKind = "contours"
) -> SurfaceDistances:
    """Distances between the surfaces of two masks.

    Args:
        truth: bool [S, H, W] with at least one voxel; what lies outside the array is outside the mask.
        predicted: bool [S, H, W], likewise.
        spacing_mm: distance of slices, rows and columns, mm.
        surface: ``contours`` or ``surfels``, see the head of this module.

    Raises:
        ValueError: a mask is empty, the arrays differ in shape, or a spacing is not positive.
    """
    check_stacks(truth, predicted, spacing_mm)
    if not (truth.any() and predicted.any()):
        raise ValueError("a mask without voxels has no surface, hence no distance to another")
    elements = {"contours": _contours, "surfels": _surfels}[surface]
    spacing = tuple(float(step) for step in spacing_mm)
    points_truth, weights_truth = elements(truth, spacing)
    points_predicted, weights_predicted = elements(predicted, spacing)
    from_truth = cKDTree(points_predicted).query(points_truth)[0]
    from_predicted = cKDTree(points_truth).query(points_predicted)[0]
    total = weights_truth.sum() + weights_predicted.sum()
    return SurfaceDistances(
        average=float((from_truth @ weights_truth + from_predicted @ weights_predicted) / total),
        hausdorff=float(max(from_truth.max(), from_predicted.max())),
        hausdorff_95=max(_weighted_quantile(from_truth, weights_truth, ROBUST_SHARE),
                         _weighted_quantile(from_predicted, weights_predicted, ROBUST_SHARE)),
    )  # fmt: skip


def _contours(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Outlines of a mask in its slices.

    Returns:
        float64 [N, 3], corners of the outlines, mm; float64 [N], half the length of the two sides that meet there, mm.
    """
    _, row_mm, column_mm = spacing_mm
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    side_mm = _side_lengths_mm(row_mm, column_mm)[_codes(padded, (1, 2))]
    across_rows = padded[:, 1:, 1:-1] != padded[:, :-1, 1:-1]
    across_columns = padded[:, 1:-1, 1:] != padded[:, 1:-1, :-1]
    points = np.concatenate([np.argwhere(across_rows) - (0, 0.5, 0), np.argwhere(across_columns) - (0, 0, 0.5)])
    lengths = np.concatenate([
        (side_mm[:, :, :-1] + side_mm[:, :, 1:])[across_rows],
        (side_mm[:, :-1, :] + side_mm[:, 1:, :])[across_columns],
    ])  # fmt: skip
    return points * spacing_mm, lengths / 2


def _side_lengths_mm(row_mm: float, column_mm: float) -> np.ndarray:
    """Length of one side of the outline, for each state of the four pixels around the corner that it passes.

    Returns:
        float64 [16]; the index has bit 3 for the pixel above left, 2 above right, 1 below left, 0 below right.
    """
    lengths = np.full(16, np.hypot(row_mm, column_mm) / 2)
    lengths[[0b0000, 0b1111]] = 0.0
    lengths[[0b1100, 0b0011]] = column_mm
    lengths[[0b1010, 0b0101]] = row_mm
    return lengths


def _surfels(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Surface elements of a mask: float64 [N, 3], corners of the voxel grid, mm; float64 [N], areas, mm²."""
    codes = _codes(np.pad(mask, 1), (0, 1, 2))
    elements = (codes != 0) & (codes != 255)
    return np.argwhere(elements) * spacing_mm, _surfel_areas_mm2(spacing_mm)[codes[elements]]


@lru_cache(maxsize=64)
def _surfel_areas_mm2(spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Area of the surface through a corner of the grid by the state of the eight voxels around it, float64 [256]."""
    # MONAI takes seconds to import, and contours do without it
    from monai.metrics.utils import create_table_neighbour_code_to_surface_area

    table, _kernel = create_table_neighbour_code_to_surface_area(spacing_mm)
    return table.numpy().astype(np.float64)


def _codes(padded: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """State of the 4 or 8 voxels around each inner corner of the grid: the first voxel holds the highest bit."""
    codes = padded.astype(np.uint8)
    for bits, axis in zip((1, 2, 4), reversed(axes)):
        last = codes.shape[axis] - 1
        first, second = (np.take(codes, range(start, start + last), axis) for start in (0, 1))
        codes = first << bits | second
    return codes


def _weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The smallest value below or at which lies ``share`` of the weight."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order[min(np.searchsorted(reached, share), len(order) - 1)]])


def check_stacks(truth: np.ndarray, predicted: np.ndarray, spacing_mm: Sequence[float]) -> None:
    """Raises ValueError where two arrays are not stacks of one shape, or a spacing is not positive."""
    if truth.shape != predicted.shape or truth.ndim != 3:
        raise ValueError(f"truth {truth.shape} and prediction {predicted.shape} are not stacks [S, H, W] of one shape")
    if len(spacing_mm) != 3 or not all(step > 0 for step in spacing_mm):
        raise ValueError(f"spacing_mm {tuple(spacing_mm)}: expected three positive distances (z, y, x)")
