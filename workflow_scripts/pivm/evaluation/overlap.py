"""Overlap and surface distance of segmentations, per patient and class (paper, Tables 2 and 3).

Policy: a class that neither truth nor prediction holds is left out. A class that only one of them holds gets
Dice and IoU 0, the slice diagonal as both distances, and is counted as missed. Nothing is ever NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class in one patient; distances in mm."""

    label: int
    hausdorff_distance: float
    average_surface_distance: float
    miou: float
    dice: float
    missed: int
    truth_voxels: int
    predicted_voxels: int


def score_patient(
    truth: np.ndarray, predicted: np.ndarray, classes: int, spacing: tuple[float, float, float]
) -> list[ClassScore]:
    """Score every class over the stacked test slices of one patient.

    Args:
        truth, predicted: uint8 [S, H, W], 0 = background; classes: labels ``1..classes`` are scored;
        spacing: mm between slices, rows and columns.
    """
    diagonal = float(np.hypot(truth.shape[1] * spacing[1], truth.shape[2] * spacing[2]))
    scores = []
    for label in range(1, classes + 1):
        a, b = truth == label, predicted == label
        n, m = int(a.sum()), int(b.sum())
        if n == 0 and m == 0:
            continue
        if n == 0 or m == 0:
            scores.append(ClassScore(label, diagonal, diagonal, 0.0, 0.0, 1, n, m))
            continue
        both = int((a & b).sum())
        hausdorff, average = surface_distances(a, b, spacing)
        scores.append(ClassScore(label, hausdorff, average, both / (n + m - both), 2 * both / (n + m), 0, n, m))
    return scores


def surface_distances(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...]) -> tuple[float, float]:
    """(Hausdorff distance, average symmetric surface distance) of two non-empty masks, mm.

    Surfaces are the voxels of a mask that touch its outside by a face; the stack's border counts as outside.
    The average runs over the surface voxels of both masks.

    Args:
        a, b: bool, same shape; spacing: mm per axis.
    """
    span = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = np.pad(a[span], 1), np.pad(b[span], 1)
    edge_a, edge_b = a & ~ndimage.binary_erosion(a), b & ~ndimage.binary_erosion(b)
    from_a = ndimage.distance_transform_edt(~edge_b, sampling=spacing)[edge_a]
    from_b = ndimage.distance_transform_edt(~edge_a, sampling=spacing)[edge_b]
    together = np.concatenate([from_a, from_b])
    return float(together.max()), float(together.mean())
