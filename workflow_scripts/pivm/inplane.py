"""The in-plane standard: an axial slice padded to a square with air and resampled to the image size.

Stored slices are ``[N, H, W]`` as a radiologist looks at them: row 0 is anterior, column 0 the patient's
right, slices run from inferior to superior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

AIR_HU = -1024
#: threshold between air and tissue for the patient's outline, HU: half-way, where a pixel is half skin
OUTLINE_HU = -500
#: thickest part of a couch or blanket that is cut off the outline, mm
COUCH_MM = 9.0
#: shape of an outline that is estimated from labels: 2 is an ellipse, more is fuller at the corners
OUTLINE_EXPONENT = 2.25


@dataclass(frozen=True)
class InPlane:
    """How axial slices of one scan map to the standard square.

    Attributes:
        shape: voxels along R and A; spacing: mm along R and A; size: pixels per side of the standard.
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]
    size: int

    @property
    def field_mm(self) -> float:
        """Side of the padded square, mm."""
        return max(n * s for n, s in zip(self.shape, self.spacing, strict=True))

    @property
    def pixel_mm(self) -> float:
        """Pixel size of a standardised slice, mm."""
        return self.field_mm / self.size

    def _padded(self) -> list[tuple[int, int]]:
        """Voxels to add before and after along R and A."""
        pads = []
        for n, s in zip(self.shape, self.spacing, strict=True):
            extra = max(round(self.field_mm / s) - n, 0)
            pads.append((extra // 2, extra - extra // 2))
        return pads

    def standardise(self, volume: np.ndarray, fill: int, smooth: bool) -> np.ndarray:
        """Axial slices of a volume in the standard form.

        Args:
            volume: [R, A, N], int16 HU or uint8 labels.
            fill: value of the padding, :data:`AIR_HU` or 0.
            smooth: anti-aliased linear resampling (HU) or nearest (labels).

        Returns:
            [N, size, size] of the same dtype.
        """
        padded = np.pad(volume, [*self._padded(), (0, 0)], constant_values=fill)
        slices = np.ascontiguousarray(padded[::-1, ::-1].transpose(2, 1, 0))
        return _resize(slices, (self.size, self.size), smooth)

    def restore(self, slices: np.ndarray) -> np.ndarray:
        """HU on the scan's own grid: the inverse of :meth:`standardise` up to resampling.

        Args:
            slices: int16 [N, size, size].

        Returns:
            int16 [R, A, N].
        """
        (r0, r1), (a0, a1) = self._padded()
        sides = (self.shape[1] + a0 + a1, self.shape[0] + r0 + r1)
        volume = _resize(slices, sides, smooth=True).transpose(2, 1, 0)[::-1, ::-1]
        return np.ascontiguousarray(volume[r0 : sides[1] - r1, a0 : sides[0] - a1])


def _resize(slices: np.ndarray, sides: tuple[int, int], smooth: bool) -> np.ndarray:
    """Resample [N, H, W] slice by slice; Pillow's bilinear filter widens with the step, so it is anti-aliased."""
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    out = np.empty((len(slices), *sides), slices.dtype)
    for i, one in enumerate(slices):
        image = Image.fromarray(one.astype(np.float32) if smooth else one)
        resized = np.asarray(image.resize(sides[::-1], method))
        out[i] = np.rint(resized) if smooth else resized
    return out


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


def fit_margins(labels: np.ndarray, body: np.ndarray, pixel_mm: np.ndarray) -> tuple[float, float, float]:
    """Mean distances in mm between the box around the organs and the box around the outline, over training slices.

    Args:
        labels: uint8 [N, H, W]; body: bool [N, H, W], the outline from the CT; pixel_mm: float [N].

    Returns:
        (anterior, posterior, sides): zeros where no slice holds both.
    """
    margins = []
    for one, inside, side in zip(labels, body, pixel_mm, strict=True):
        if one.any() and inside.any():
            top, bottom, left, right = (_box(one > 0) - _box(inside)) * [1, -1, 1, -1] * side
            margins.append((top, bottom, (left + right) / 2))
    return tuple(float(m) for m in np.mean(margins, 0)) if margins else (0.0, 0.0, 0.0)


def outline_from_labels(labels: np.ndarray, pixel_mm: float, margins_mm: tuple[float, float, float]) -> np.ndarray:
    """The patient's outline where there is no CT: a superellipse around the organs of each slice.

    Its box is that of the organs, widened by :func:`fit_margins`; a slice without any organ takes the box of the
    nearest one that has some.

    Args:
        labels: uint8 [N, H, W], neighbouring slices; margins_mm: anterior, posterior, sides.

    Returns:
        bool [N, H, W]; organs are always inside.
    """
    known = np.flatnonzero(labels.any(axis=(1, 2)))
    if not known.size:
        return np.zeros(labels.shape, bool)
    anterior, posterior, sides = margins_mm
    wider = np.array([-anterior, posterior, -sides, sides]) / pixel_mm
    boxes = np.array([_box(labels[i] > 0) for i in known]) + wider
    nearest = np.abs(np.arange(len(labels))[:, None] - known).argmin(1)
    row, column = np.mgrid[: labels.shape[1], : labels.shape[2]] + 0.5
    body = labels > 0
    for i, (top, bottom, left, right) in enumerate(boxes[nearest]):
        down = np.abs((row - (top + bottom) / 2) / ((bottom - top) / 2)) ** OUTLINE_EXPONENT
        across = np.abs((column - (left + right) / 2) / ((right - left) / 2)) ** OUTLINE_EXPONENT
        body[i] |= down + across <= 1
    return body


def _box(mask: np.ndarray) -> np.ndarray:
    """First and last + 1 row and column of a 2D mask that holds something."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1], float)
