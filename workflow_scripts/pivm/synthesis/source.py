"""Label maps brought to the form that a generator is given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pivm.cohort.prior import Prior
from pivm.generators.protocol import Spacing
from pivm.scans.inplane import AIR_HU, InPlane
from pivm.scans.label_maps import LabelMap
from pivm.scans.nifti import Grid, Volume
from pivm.scans.outline import OutlineMargins, grown_outline, outline, outline_from_labels
from pivm.seeds import derived_seed


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

    def axial(self, window: slice, grid: Grid) -> LabelSource:
        """Some of the axial slices alone, counted from the lowest, on their grid."""
        hu = None if self.hu is None else self.hu[window]
        parts = {"labels": self.labels[..., window], "label_map": self.label_map[window], "hu": hu}
        return dataclasses.replace(self, grid=grid, **parts)


class Surroundings(NamedTuple):
    """What is known of a patient without CT beside the organs of a generator.

    Attributes:
        parts: bool [R, A, S], other parts of the body, which lie inside the outline.
        body: bool [R, A, S], the outline itself.
    """

    parts: np.ndarray | None = None
    body: np.ndarray | None = None


#: share of a pixel that a mask must hold so that the pixel is part of it: thin bones count too
PART_OF_PIXEL = 0.25


def outline_seed(subject: str) -> int:
    """What draws the margins of a subject's estimated outline: the same for its slices and its volumes."""
    return derived_seed(0, "outline", subject)


def standard_source(
    subject: str,
    labels: LabelMap,
    volume: Volume | None,
    size: int,
    prior: Prior,
    around: Surroundings | None = None,
    outline_of: str | None = None,
) -> LabelSource:
    """Bring every axial slice of a label map to the in-plane standard.

    The patient's outline comes from the CT; where there is none, from the labels and the margins of one of the
    training patients (:class:`pivm.scans.outline.OutlineMargins`), so that it holds what else is known of the body
    (:func:`pivm.scans.outline.grown_outline`), or it is the one that is given.

    Args:
        subject: its name.
        labels: on the grid of the CT.
        volume: the CT, its padding cleaned; ``None`` without CT.
        size: pixels per side of a standardised slice.
        prior: organ means of the generator, which say what its label map holds.
        around: what is known beside the organs where there is no CT.
        outline_of: what says whose margins are drawn for an outline that is estimated; ``None``: the name.
    """
    plane = InPlane(labels.grid.shape[:2], labels.grid.spacing[:2], size)
    slices = plane.standardise(labels.array, 0, smooth=False)
    hu = plane.standardise(volume.hu, AIR_HU, smooth=True) if volume else None
    if hu is not None:
        body = outline(hu, slices, plane.pixel_mm)
    elif around and around.body is not None:
        body = _shares(plane, around.body) >= 0.5
    else:
        margins = OutlineMargins.of(prior.outline_margins_mm, prior.outline_by_box)
        drawn = margins.draw(slices, plane.pixel_mm, outline_seed(outline_of or subject))
        body = outline_from_labels(slices, plane.pixel_mm, drawn, labels.grid.spacing[2])
        if around and around.parts is not None:
            body = grown_outline(body, _shares(plane, around.parts) >= PART_OF_PIXEL, plane.pixel_mm)
    return LabelSource(subject, labels.grid, labels.array, prior.label_map(slices, body), plane, hu)


def _shares(plane: InPlane, mask: np.ndarray) -> np.ndarray:
    """The share of each pixel of the standard that lies in a mask [R, A, S]: float [N, H, W]."""
    return plane.standardise(mask.astype(np.uint8) * np.uint8(200), 0, smooth=True) / 200
