"""The patient's outline: from the CT, or estimated from the labels where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from pivm.errors import StateError

#: threshold between air and tissue for the patient's outline, HU: half-way, where a pixel is half skin
OUTLINE_HU = -500
#: thickest part of a couch or blanket that is cut off the outline, mm
COUCH_MM = 9.0
#: skin and fat over what lies in the body, mm: what an estimated outline keeps around the masks that it must hold
SKIN_MM = 10.0
#: gaps between two of these masks that are tissue, mm: twice this
BRIDGED_MM = 15.0
#: slices that margins are fitted on, about
MARGIN_SLICES = 500
#: slices' worth of weight that a regression of margins gives to no dependence: a patient or two must not make a rule
RIDGE_SLICES = 10
#: shape of an outline that is estimated from labels: 2 is an ellipse, more is fuller at the corners
OUTLINE_EXPONENT = 2.25
#: over which the skin changes along z, mm (sigma of a Gaussian): so much lets estimated outlines change as much from
#: slice to slice as those of CT do
OUTLINE_LENGTH_MM = 40.0


def outline(hu: np.ndarray, labels: np.ndarray, pixel_mm: float) -> np.ndarray:
    """The patient's outline in standardised slices: threshold, couch off, largest component, holes filled.

    Args:
        hu: int16 [N, H, W]; labels: uint8 [N, H, W], always inside the outline; pixel_mm: pixel size.

    Returns:
        bool [N, H, W].
    """
    radius = max(1, round(COUCH_MM / 2 / pixel_mm))
    span = np.arange(-radius, radius + 1)
    disc = span[:, None] ** 2 + span[None] ** 2 <= radius**2 + 0.5
    body = np.zeros(hu.shape, bool)
    for i in range(len(hu)):
        # holes (lungs, bowel gas) are filled first: opening would otherwise eat thin walls around them
        tissue = ndimage.binary_fill_holes(hu[i] > OUTLINE_HU)
        opened = ndimage.binary_opening(np.pad(tissue, radius, mode="edge"), disc)
        parts, n = ndimage.label(opened[radius:-radius, radius:-radius])
        if n:
            parts = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
        body[i] = ndimage.binary_fill_holes((parts > 0) | (labels[i] > 0))
    return body


@dataclass(frozen=True)
class OutlineMargins:
    """How far the box around the outline lies from that around the organs, by the size of the latter and the patient.

    Attributes:
        mean_mm: mean distances over training slices: anterior, posterior, sides, [3].
        box_mm: mean height and width of the box, [2].
        slopes: mm of margin per mm of box beyond that, [2, 3].
        patients_mm: what the margins of each training patient are beyond all this, [P, 3].
    """

    mean_mm: np.ndarray
    box_mm: np.ndarray
    slopes: np.ndarray
    patients_mm: np.ndarray

    @classmethod
    def fit(cls, labels: np.ndarray, body: np.ndarray, pixel_mm: np.ndarray, patients: np.ndarray) -> OutlineMargins:
        """Ridge regression over training slices, :data:`RIDGE_SLICES` of which say that the box does not matter.

        Args:
            labels: uint8 [N, H, W]; body: bool [N, H, W], the outline from the CT; pixel_mm: float [N]; patients: of
                the slices, [N].

        Returns:
            Margins of 0 where no slice holds organs and an outline.
        """
        used, margins = _measured(labels, body, pixel_mm)
        if not used:
            return cls.of((0.0, 0.0, 0.0), {})
        boxes = np.array([_size(labels[i]) * pixel_mm[i] for i in used])
        beyond, left = boxes - boxes.mean(0), margins - margins.mean(0)
        ridge = np.diag(RIDGE_SLICES * np.maximum(beyond.var(0), 1))
        slopes = np.linalg.solve(beyond.T @ beyond + ridge, beyond.T @ left)
        left, of = left - beyond @ slopes, np.asarray(patients)[used]
        own = np.array([left[of == patient].mean(0) for patient in dict.fromkeys(of)])
        return cls(margins.mean(0), boxes.mean(0), slopes, own)

    def by_box(self) -> dict[str, list]:
        """All but the mean, as lists."""
        return {name: getattr(self, name).tolist() for name in ("box_mm", "slopes", "patients_mm")}

    @classmethod
    def of(cls, mean_mm: ArrayLike, by_box: Mapping[str, ArrayLike]) -> OutlineMargins:
        """From the mean and what :meth:`by_box` gave; where that is empty, margins are the same for all.

        Raises:
            StateError: they are no finite numbers of these shapes.
        """
        alike = {"box_mm": np.zeros(2), "slopes": np.zeros((2, 3)), "patients_mm": np.zeros((1, 3))}
        try:
            values = {name: np.asarray(v, float) for name, v in {"mean_mm": mean_mm, **alike, **by_box}.items()}
            read = cls(**values)
        except (TypeError, ValueError) as error:
            raise StateError(f"prior.json: no margins of outlines: {error}") from None
        wanted = [(3,), (2,), (2, 3), (max(read.patients_mm.size // 3, 1), 3)]
        shapes = [value.shape for value in values.values()]
        if shapes != wanted or not all(np.isfinite(value).all() for value in values.values()):
            raise StateError(
                f"prior.json: no margins of outlines: found arrays of {shapes}, expected finite numbers of {wanted}"
            )
        return read

    def draw(self, labels: np.ndarray, pixel_mm: float, seed: int) -> np.ndarray:
        """Margins of each slice of a subject, [N, 3], of a patient that differs as one of the training patients does.

        Args:
            labels: uint8 [N, H, W].
            pixel_mm: pixel size.
            seed: of the draw among these patients.
        """
        own = self.patients_mm[np.random.default_rng(seed).integers(len(self.patients_mm))]
        boxes = np.array([_size(one) * pixel_mm if one.any() else self.box_mm for one in labels])
        return np.maximum(self.mean_mm + (boxes - self.box_mm) @ self.slopes + own, 0.0)


def outline_from_labels(
    labels: np.ndarray, pixel_mm: float, margins_mm: ArrayLike, step_mm: float | None = None
) -> np.ndarray:
    """The patient's outline where there is no CT: a superellipse around the organs of each slice.

    Its box is that of the organs, widened by :class:`OutlineMargins`; a slice without any organ takes the box of the
    nearest one that has some.

    Args:
        labels: uint8 [N, H, W], neighbouring slices.
        pixel_mm: pixel size.
        margins_mm: anterior, posterior, sides, [3] or of each slice [N, 3].
        step_mm: between slices of a volume, along which the box then changes smoothly, as skin does where an organ
            ends; ``None``: slices too far apart for that.

    Returns:
        bool [N, H, W]; organs are always inside.
    """
    known = np.flatnonzero(labels.any(axis=(1, 2)))
    if not known.size:
        return np.zeros(labels.shape, bool)
    anterior, posterior, sides = np.broadcast_to(margins_mm, (len(labels), 3))[known].T
    wider = np.stack([-anterior, posterior, -sides, sides], 1) / pixel_mm
    boxes = np.array([_box(labels[i] > 0) for i in known]) + wider
    nearest = np.abs(np.arange(len(labels))[:, None] - known).argmin(1)
    boxes = boxes[nearest]
    if step_mm:
        boxes = ndimage.gaussian_filter1d(boxes, OUTLINE_LENGTH_MM / step_mm, axis=0, mode="nearest")
    row, column = np.mgrid[: labels.shape[1], : labels.shape[2]] + 0.5
    body = labels > 0
    for i, (top, bottom, left, right) in enumerate(boxes):
        down = np.abs((row - (top + bottom) / 2) / ((bottom - top) / 2)) ** OUTLINE_EXPONENT
        across = np.abs((column - (left + right) / 2) / ((right - left) / 2)) ** OUTLINE_EXPONENT
        body[i] |= down + across <= 1
    return body


def grown_outline(body: np.ndarray, parts: np.ndarray, pixel_mm: float) -> np.ndarray:
    """An estimated outline that holds more parts of the body than the organs it was estimated from.

    Muscles, bones and limbs get :data:`SKIN_MM` of tissue around them, gaps between neighbours up to twice
    :data:`BRIDGED_MM` are tissue, and holes are filled.

    Args:
        body: bool [N, H, W], the outline; parts: bool [N, H, W], what lies in the body; pixel_mm: pixel size.

    Returns:
        bool [N, H, W], at least ``body`` and ``parts``.
    """
    grown = body | parts
    reach = (SKIN_MM + BRIDGED_MM) / pixel_mm
    edge = int(np.ceil(reach)) + 1
    for i in np.flatnonzero(parts.any(axis=(1, 2))):
        # what touches the border of the slice goes on beyond it
        apart = ndimage.distance_transform_edt(~np.pad(parts[i], edge, mode="edge"))
        around = ndimage.distance_transform_edt(apart <= reach) > BRIDGED_MM / pixel_mm
        grown[i] = ndimage.binary_fill_holes(grown[i] | around[edge:-edge, edge:-edge])
    return grown


def _measured(labels: np.ndarray, body: np.ndarray, pixel_mm: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The slices that hold organs and an outline, and their margins, [n, 3]: anterior, posterior, sides."""
    used = [i for i in range(len(labels)) if labels[i].any() and body[i].any()]
    margins = []
    for i in used:
        top, bottom, left, right = (_box(labels[i] > 0) - _box(body[i])) * [1, -1, 1, -1] * pixel_mm[i]
        margins.append((top, bottom, (left + right) / 2))
    return used, np.array(margins)


def _size(labels: np.ndarray) -> np.ndarray:
    """Height and width of the box around the organs, pixels."""
    top, bottom, left, right = _box(labels > 0)
    return np.array([bottom - top, right - left])


def _box(mask: np.ndarray) -> np.ndarray:
    """First and last + 1 row and column of a 2D mask that holds something."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1], float)
