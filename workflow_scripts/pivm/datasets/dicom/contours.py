"""RTSTRUCT: contours on slices to masks. Holes, copies, contours without area, and slices that nobody drew."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from scipy import ndimage

from pivm.datasets.dicom.drawing import Drawn, Names, require_frame
from pivm.datasets.dicom.headers import read_dicom, text
from pivm.datasets.dicom.series import Series
from pivm.errors import DataError

#: distance between a contour's plane and its slice, in slices, that rounding in the file may cause
OFF_PLANE = 0.25
#: contours of a smaller area hold no pixel, in pixels
SMALLEST_AREA = 0.5
#: undrawn slices between two drawn ones that are filled when the two agree
LONGEST_GAP = 4
#: share of the smaller of two drawn slices that must lie in the other one for the gap between them to be filled
AGREEMENT = 0.5


@dataclass(frozen=True)
class Contour:
    """One closed contour on a slice.

    Attributes:
        points: float [points, 2], column and row.
        area: of the polygon, pixels.
        exclusive: drawn as CLOSEDPLANAR_XOR, where overlap means a hole.
    """

    points: np.ndarray
    area: float
    exclusive: bool


def read_contours(path: Path, series: Series, names: Names) -> Drawn:
    """The organs of an RTSTRUCT; a pixel belongs to a contour that holds its centre.

    Args:
        path: of the object.
        series: the CT.
        names: what the names of ROIs mean.

    Raises:
        DataError: another frame of reference, or a contour that lies on no slice of the CT.
    """
    structures = read_dicom(path)
    rois = {int(roi.ROINumber): roi for roi in structures.StructureSetROISequence}
    drawn = Drawn(affine=series.affine)
    for item in structures.get("ROIContourSequence", []):
        roi = rois[int(item.ReferencedROINumber)]
        name = str(roi.ROIName)
        organ = names.organ(name)
        if organ is None:
            drawn.unused.add(name)
            continue
        require_frame(path, text(roi, "ReferencedFrameOfReferenceUID"), series)
        slices, dropped = _by_slice(item.get("ContourSequence", []), series, f"{path}: a contour of {name!r}")
        mask = np.zeros(series.shape, bool, order="F")
        for k, contours in slices.items():
            mask[..., k] = fill(contours, series.shape[:2])
        filled, undrawn = fill_gaps(mask)
        drawn.add(organ, mask)
        for count, what in (
            (dropped, "contours without area dropped"),
            (filled, "slices between contours filled by interpolation"),
            (undrawn, "slices between contours left empty, as their neighbours differ"),
        ):
            if count:
                drawn.notes.append(f"{organ}: {count} {what}")
    return drawn


def _by_slice(sequence: Sequence[pydicom.Dataset], series: Series, what: str) -> tuple[dict[int, list[Contour]], int]:
    """Contours by slice, and how many hold no area."""
    to_index = np.linalg.inv(series.affine)
    slices: dict[int, list[Contour]] = {}
    dropped = 0
    for item in sequence:
        kind = text(item, "ContourGeometricType").upper()
        points = np.array(item.ContourData, float).reshape(-1, 3)
        if not np.isfinite(points).all():
            raise DataError(f"{what} holds numbers that are not finite")
        if len(points) < 3 or kind in ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR"):
            dropped += 1
            continue
        column, row, depth = (to_index @ np.column_stack([points, np.ones(len(points))]).T)[:3]
        k = round(float(depth.mean()))
        if np.abs(depth - k).max() > OFF_PLANE or not 0 <= k < series.shape[2]:
            raise DataError(f"{what} lies on no slice of the CT (at {points[0, 2]:.6g} mm)")
        area = 0.5 * abs(float(column @ np.roll(row, 1) - row @ np.roll(column, 1)))
        if area < SMALLEST_AREA:
            dropped += 1
            continue
        contour = Contour(np.column_stack([column, row]), area, kind in ("CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR"))
        slices.setdefault(k, []).append(contour)
    return slices, dropped


def fill(contours: Sequence[Contour], shape: tuple[int, int]) -> np.ndarray:
    """The mask of the contours of one slice: a contour inside another is a hole, others are joined.

    Args:
        contours: of one organ on one slice; copies count once.
        shape: columns and rows of the slice.

    Returns:
        bool [columns, rows].
    """
    mask = np.zeros(shape, bool)
    outer: list[tuple[float, np.ndarray, int]] = []  # area, mask, number of contours around it
    for contour in sorted(contours, key=lambda c: -c.area):
        own = _inside(contour.points, shape)
        if contour.exclusive:
            mask ^= own
            continue
        if any(abs(area - contour.area) <= 0.01 * area and np.array_equal(own, other) for area, other, _ in outer):
            continue  # saved twice
        around = [depth for _, other, depth in outer if not (own & ~other).any()]
        depth = max(around) + 1 if around else 0
        outer.append((contour.area, own, depth))
        if depth % 2:
            mask &= ~own
        else:
            mask |= own
    return mask


def _inside(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """bool of ``shape``: pixels whose centre lies in the polygon; only the box around it is looked at."""
    from skimage.draw import polygon2mask

    low = np.clip(np.floor(points.min(0)).astype(int), 0, np.array(shape) - 1)
    high = np.clip(np.ceil(points.max(0)).astype(int) + 1, 1, shape)
    mask = np.zeros(shape, bool)
    if (high > low).all():
        box = tuple(int(n) for n in high - low)
        mask[low[0] : high[0], low[1] : high[1]] = polygon2mask(box, points - low)
    return mask


def fill_gaps(mask: np.ndarray) -> tuple[int, int]:
    """Fill slices that nobody drew between two that were, in place, where the two agree.

    Contours are often drawn on every second slice alone. A filled slice lies half-way between its neighbours, by their
    distance to the border.

    Args:
        mask: bool [columns, rows, slices].

    Returns:
        (slices filled, slices left empty)
    """
    drawn = np.flatnonzero(mask.any((0, 1)))
    filled = undrawn = 0
    for low, high in itertools.pairwise(drawn):
        gap = int(high - low) - 1
        if not gap:
            continue
        below, above = mask[..., low], mask[..., high]
        shared = np.count_nonzero(below & above)
        if gap > LONGEST_GAP or shared < AGREEMENT * min(np.count_nonzero(below), np.count_nonzero(above)):
            undrawn += gap
            continue
        ends = [_to_border(part) for part in (below, above)]
        for k in range(1, gap + 1):
            share = k / (gap + 1)
            mask[..., low + k] = (1 - share) * ends[0] + share * ends[1] > 0
        filled += gap
    return filled, undrawn


def _to_border(mask: np.ndarray) -> np.ndarray:
    """Distance to the border in pixels, above 0 inside."""
    return ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
