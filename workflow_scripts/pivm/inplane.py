"""The in-plane standard: an axial slice padded to a square with air and resampled to the image size.

Stored slices are ``[N, H, W]`` as a radiologist looks at them: row 0 is anterior, column 0 the patient's
right, slices run from inferior to superior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

AIR_HU = -1024
#: threshold between air and tissue for the patient's outline, HU: half-way, where a pixel is half skin
OUTLINE_HU = -500
#: thickest part of a couch or blanket that is cut off the outline, mm
COUCH_MM = 9.0


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


def fit_margin(labels: np.ndarray, body: np.ndarray, pixel_mm: np.ndarray) -> float:
    """Mean distance in mm from the convex hull of the organs to the outline, over the slices of a training split.

    Per slice it is the margin that gives the hull the area of the outline.

    Args:
        labels: uint8 [N, H, W]; body: bool [N, H, W], the outline from the CT; pixel_mm: float [N].
    """
    margins = []
    for one, inside, side in zip(labels, body, pixel_mm, strict=True):
        hull = _hull(one > 0)
        area = int(inside.sum())
        if hull.any() and area > hull.sum():
            distance = ndimage.distance_transform_edt(~hull, sampling=side)
            margins.append(float(np.partition(distance.ravel(), area - 1)[area - 1]))
    return float(np.mean(margins)) if margins else 0.0


def outline_from_labels(labels: np.ndarray, pixel_mm: float, margin_mm: float) -> np.ndarray:
    """The patient's outline where there is no CT: the convex hull of a slice's organs, widened by a margin.

    A slice without any organ takes the outline of the nearest one that has some.

    Args:
        labels: uint8 [N, H, W], neighbouring slices; margin_mm: see :func:`fit_margin`.

    Returns:
        bool [N, H, W].
    """
    body = np.zeros(labels.shape, bool)
    known = np.flatnonzero(labels.any(axis=(1, 2)))
    for i in known:
        body[i] = ndimage.distance_transform_edt(~_hull(labels[i] > 0), sampling=pixel_mm) <= margin_mm
    if known.size:
        nearest = known[np.abs(np.arange(len(labels))[:, None] - known).argmin(1)]
        body = body[nearest]
    return body


def _hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a 2D mask, filled; the mask itself where it is a point or a line."""
    points = np.argwhere(mask)
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return mask
    image = Image.new("1", mask.shape[::-1])
    ImageDraw.Draw(image).polygon([(int(x), int(y)) for y, x in corners], fill=1)
    return np.asarray(image) | mask
