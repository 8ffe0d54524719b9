"""Label maps brought to the form that a generator is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pivm.cohort.prior import Prior
from pivm.generators.protocol import Spacing
from pivm.scans.inplane import AIR_HU, InPlane
from pivm.scans.label_maps import LabelMap
from pivm.scans.nifti import Grid, Volume
from pivm.scans.outline import outline, outline_from_labels


@dataclass
class LabelSource:
    """One subject whose labels are synthesised.

    Attributes:
        subject: its name.
        grid: of its CT, or of its labels where it has no CT.
        labels: uint8 [R, A, S].
        label_map: uint8 [S, H, W], what the generator is given.
        plane: the in-plane geometry.
        hu: int16 [S, H, W], the real CT in the same standard form, to compare with; ``None`` without CT.
    """

    subject: str
    grid: Grid
    labels: np.ndarray
    label_map: np.ndarray
    plane: InPlane
    hu: np.ndarray | None

    @property
    def spacing_mm(self) -> Spacing:
        """Of the standardised slices along W, H and z, mm."""
        return self.plane.pixel_mm, self.plane.pixel_mm, self.grid.spacing[2]


def standard_source(subject: str, labels: LabelMap, volume: Volume | None, size: int, prior: Prior) -> LabelSource:
    """Bring every axial slice of a label map to the in-plane standard.

    The patient's outline comes from the CT; where there is none, from the labels and the margins of the training
    split (:func:`pivm.scans.outline.outline_from_labels`).

    Args:
        subject: its name.
        labels: on the grid of the CT.
        volume: the CT, its padding cleaned; ``None`` without CT.
        size: pixels per side of a standardised slice.
        prior: organ means of the generator, which say what its label map holds.
    """
    plane = InPlane(labels.grid.shape[:2], labels.grid.spacing[:2], size)
    slices = plane.standardise(labels.array, 0, smooth=False)
    hu = plane.standardise(volume.hu, AIR_HU, smooth=True) if volume else None
    if hu is None:
        body = outline_from_labels(slices, plane.pixel_mm, prior.outline_margins_mm)
    else:
        body = outline(hu, slices, plane.pixel_mm)
    return LabelSource(subject, labels.grid, labels.array, prior.label_map(slices, body), plane, hu)
