"""The in-plane standard: an axial slice padded to a square with air and resampled to the image size.

Stored slices are ``[N, H, W]`` as a radiologist looks at them: row 0 is anterior, column 0 the patient's
right, slices run from inferior to superior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

AIR_HU = -1024


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

    def restore(self, slices: np.ndarray, smooth: bool = True) -> np.ndarray:
        """Slices on the scan's own grid: the inverse of :meth:`standardise` up to resampling.

        Args:
            slices: [N, size, size], int16 HU or uint8 labels.
            smooth: linear resampling (HU) or nearest (labels).

        Returns:
            [R, A, N] of the same dtype.
        """
        (r0, r1), (a0, a1) = self._padded()
        sides = (self.shape[1] + a0 + a1, self.shape[0] + r0 + r1)
        volume = _resize(slices, sides, smooth).transpose(2, 1, 0)[::-1, ::-1]
        return np.ascontiguousarray(volume[r0 : sides[1] - r1, a0 : sides[0] - a1])


def _resize(slices: np.ndarray, sides: tuple[int, int], smooth: bool) -> np.ndarray:
    """Resample [N, H, W] slice by slice; Pillow's bilinear filter widens with the step, so it is anti-aliased."""
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    out = np.empty((len(slices), *sides), slices.dtype)
    for i, one in enumerate(slices):
        image = Image.fromarray(one.astype(np.float32) if smooth else one)
        resized = np.asarray(image.resize((sides[1], sides[0]), method))
        out[i] = np.rint(resized) if smooth else resized
    return out
