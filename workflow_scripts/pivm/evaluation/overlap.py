"""Scores of segmentations, per patient and class (paper, Tables 2 and 3).

Which cases count. Dice and IoU over classes that the truth holds (0 where they are missed), distances over classes that
truth and prediction both hold, ``missed`` over classes that the truth holds, ``invented`` over those that it lacks.
A score that is not defined for a class is None and belongs to no mean. Penalised distances carry it in their name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from pivm.evaluation.segmentation_metrics import SEGMENTATION_METRICS
from pivm.evaluation.surface import SurfaceDistances, SurfaceKind, check_stacks, surface_distances

Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class ClassMasks:
    """One class in one patient: what a metric of Tables 2 and 3 is computed from.

    Attributes:
        truth: bool [S, H, W], stacked slices, cut to what either mask holds.
        predicted: bool [S, H, W], likewise.
        spacing_mm: between slices, rows and columns.
        diagonal_mm: of a whole slice: no distance within one is longer.
        surface: what the surface of a mask is.
    """

    truth: np.ndarray
    predicted: np.ndarray
    spacing_mm: Spacing
    diagonal_mm: float
    surface: SurfaceKind = "contours"

    @cached_property
    def truth_voxels(self) -> int:
        """Voxels of the truth."""
        return int(np.count_nonzero(self.truth))

    @cached_property
    def predicted_voxels(self) -> int:
        """Voxels of the prediction."""
        return int(np.count_nonzero(self.predicted))

    @cached_property
    def common_voxels(self) -> int:
        """Voxels that both hold."""
        return int(np.count_nonzero(self.truth & self.predicted))

    @cached_property
    def distances(self) -> SurfaceDistances | None:
        """Between the surfaces; None unless both hold the class."""
        if not (self.truth_voxels and self.predicted_voxels):
            return None
        return surface_distances(self.truth, self.predicted, self.spacing_mm, self.surface)

    @property
    def is_missed(self) -> bool:
        """The truth holds the class and the prediction does not."""
        return self.truth_voxels > 0 and self.predicted_voxels == 0

    @property
    def is_invented(self) -> bool:
        """The prediction holds the class and the truth does not."""
        return self.truth_voxels == 0 and self.predicted_voxels > 0

    def penalised(self, distance_mm: float | None) -> float | None:
        """A distance where both hold the class, the diagonal of a slice where one does, None where neither does."""
        return self.diagonal_mm if self.is_missed or self.is_invented else distance_mm


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class in one patient.

    Attributes:
        label: name of the class.
        scores: by key of the metric; None where it is not defined.
        truth_voxels: voxels of the class in the truth.
        predicted_voxels: voxels of the class in the prediction.
    """

    label: str
    scores: dict[str, float | None]
    truth_voxels: int
    predicted_voxels: int


def score_patient(
    truth: np.ndarray,
    predicted: np.ndarray,
    names: Sequence[str],
    spacing_mm: Spacing,
    surface: SurfaceKind = "contours",
) -> list[ClassScore]:
    """Score every class over the slices of one patient.

    Args:
        truth: uint8 [S, H, W], 0 = background, k = k-th of ``names``.
        predicted: uint8 [S, H, W].
        names: of the classes.
        spacing_mm: between slices, rows and columns.
        surface: ``contours`` for slices with gaps between them, ``surfels`` for volumes.

    Returns:
        One row per class, also for a class that neither holds, so that rates have their denominators.

    Raises:
        ValueError: the arrays differ in shape or are not stacks of slices, or a spacing is not positive.
    """
    check_stacks(truth, predicted, spacing_mm)
    diagonal_mm = float(np.hypot(truth.shape[1] * spacing_mm[1], truth.shape[2] * spacing_mm[2]))
    boxes = zip(*(ndimage.find_objects(array, max_label=len(names)) for array in (truth, predicted)), strict=True)
    rows = []
    for label, (name, (a, b)) in enumerate(zip(names, boxes, strict=True), start=1):
        box = _joint_box(a, b)
        masks = ClassMasks(truth[box] == label, predicted[box] == label, spacing_mm, diagonal_mm, surface)
        scores = {key: metric.compute(masks) for key, metric in SEGMENTATION_METRICS.items()}
        rows.append(ClassScore(name, scores, masks.truth_voxels, masks.predicted_voxels))
    return rows


def _joint_box(a: tuple[slice, ...] | None, b: tuple[slice, ...] | None) -> tuple[slice, ...]:
    """The smallest box that holds both boxes; an empty one where neither is there."""
    if a is None or b is None:
        return a or b or (slice(0),) * 3
    return tuple(slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in zip(a, b, strict=True))
