"""Overlap and surface distance of segmentations, per patient and class (paper, Tables 2 and 3).

Policy: a class that neither truth nor prediction holds is left out. A class that only one of them holds gets
Dice and IoU 0, the slice diagonal as both distances, and is counted as missed. Nothing is ever NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from pivm.evaluation.cases import SegmentationCase
from pivm.evaluation.segmentation_metrics import SEGMENTATION_METRICS


class SurfaceDistances(NamedTuple):
    """Distances of the surfaces of two masks.

    Attributes:
        hausdorff_mm: the largest one.
        average_mm: the mean over the surface voxels of both masks.
    """

    hausdorff_mm: float
    average_mm: float


@dataclass(frozen=True, eq=False)
class ClassMasks:
    """One class in one patient: what a metric of Tables 2 and 3 is computed from.

    Attributes:
        truth: bool [S, H, W], stacked slices.
        predicted: bool [S, H, W].
        spacing_mm: between slices, rows and columns.
    """

    truth: np.ndarray
    predicted: np.ndarray
    spacing_mm: tuple[float, float, float]

    @cached_property
    def truth_voxels(self) -> int:
        """Voxels of the truth."""
        return int(self.truth.sum())

    @cached_property
    def predicted_voxels(self) -> int:
        """Voxels of the prediction."""
        return int(self.predicted.sum())

    @cached_property
    def common_voxels(self) -> int:
        """Voxels that both hold."""
        return int((self.truth & self.predicted).sum())

    @cached_property
    def surface_distances(self) -> SurfaceDistances:
        """Of both masks, which must hold something, mm."""
        return surface_distances(self.truth, self.predicted, self.spacing_mm)

    @property
    def diagonal_mm(self) -> float:
        """Of a slice: no distance within one is longer."""
        _, height, width = self.truth.shape
        return float(np.hypot(height * self.spacing_mm[1], width * self.spacing_mm[2]))


def score_patient(
    truth: np.ndarray,
    predicted: np.ndarray,
    names: tuple[str, ...],
    spacing_mm: tuple[float, float, float],
    patient: str,
    seed: int,
) -> list[SegmentationCase]:
    """Score every class over the stacked test slices of one patient.

    Args:
        truth: uint8 [S, H, W], 0 = background, k = k-th of ``names``.
        predicted: uint8 [S, H, W].
        names: of the classes.
        spacing_mm: between slices, rows and columns.
        patient: its name.
        seed: of the segmenter's training.
    """
    cases = []
    for label, name in enumerate(names, start=1):
        masks = ClassMasks(truth == label, predicted == label, spacing_mm)
        voxels = (masks.truth_voxels, masks.predicted_voxels)
        if not any(voxels):
            continue
        missed = not all(voxels)
        scores = {
            key: metric.of_missed(masks) if missed else metric.compute(masks)
            for key, metric in SEGMENTATION_METRICS.items()
        }
        cases.append(SegmentationCase(seed, patient, name, scores, int(missed), *voxels))
    return cases


def surface_distances(a: np.ndarray, b: np.ndarray, spacing_mm: tuple[float, ...]) -> SurfaceDistances:
    """Hausdorff and average symmetric surface distance of two masks.

    Surfaces are the voxels of a mask that touch its outside by a face; the stack's border counts as outside.

    Args:
        a: bool, not empty.
        b: bool of the same shape, not empty.
        spacing_mm: per axis.

    >>> a, b = np.zeros((2, 1, 1, 5), bool)
    >>> a[0, 0, 1] = b[0, 0, 1] = b[0, 0, 2] = True
    >>> surface_distances(a, b, (5.0, 2.0, 1.5))
    SurfaceDistances(hausdorff_mm=1.5, average_mm=0.5)
    """
    span = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = np.pad(a[span], 1), np.pad(b[span], 1)
    edge_a, edge_b = a & ~ndimage.binary_erosion(a), b & ~ndimage.binary_erosion(b)
    from_a = ndimage.distance_transform_edt(~edge_b, sampling=spacing_mm)[edge_a]
    from_b = ndimage.distance_transform_edt(~edge_a, sampling=spacing_mm)[edge_b]
    both_ways_mm = np.concatenate([from_a, from_b])
    return SurfaceDistances(float(both_ways_mm.max()), float(both_ways_mm.mean()))
