"""Pixels of one slice to HU: bits that mean something, rescale, padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from pivm.datasets.dicom.headers import read_dicom, whole_number
from pivm.errors import DataError
from pivm.scans.files import short
from pivm.scans.inplane import AIR_HU

#: HU of pixels that the header calls padding and that would pass for tissue: below any padding limit
PADDED_HU = -3024


def slice_hu(path: Path, shape: tuple[int, int], slope: float, intercept: float) -> np.ndarray:
    """HU of one slice, int32 or float64 [rows, columns]; not yet rounded.

    Args:
        path: of the file.
        shape: rows and columns that the header claims.
        slope: RescaleSlope of this slice.
        intercept: RescaleIntercept of this slice.

    Raises:
        DataError: pixels that cannot be decoded, are no grey image of this shape, or have bits in another place.
    """
    header = read_dicom(path)
    try:
        pixels = header.pixel_array
    except Exception as error:  # decoders of many libraries
        raise DataError(f"{path}: pixels cannot be decoded ({type(error).__name__}: {short(error)})") from None
    if pixels.shape != shape:
        raise DataError(f"{path}: pixels are {pixels.shape}, expected one grey image of {shape}")
    if pixels.dtype.kind in "iu":
        pixels = used_bits(pixels, path, header)
    exact = pixels.dtype.kind in "iu" and slope == 1 and intercept.is_integer()
    hu = pixels.astype(np.int32) + int(intercept) if exact else pixels * slope + intercept
    padding = _padding(pixels, header)
    if padding is not None:
        hu[padding & (hu > AIR_HU)] = PADDED_HU
    return hu


def used_bits(pixels: np.ndarray, path: Path, header: pydicom.Dataset) -> np.ndarray:
    """Pixels without what lies above BitsStored, the sign extended; some scanners keep overlays or rubbish there.

    Raises:
        DataError: BitsStored is lacking or wrong, or the highest bit is not where BitsStored ends.
    """
    width = pixels.dtype.itemsize * 8
    stored = whole_number(path, header, "BitsStored", 1, 32)
    highest = whole_number(path, header, "HighBit", 0, 31) if "HighBit" in header else stored - 1
    if highest != stored - 1:
        raise DataError(f"{path}: HighBit is {highest} with BitsStored {stored}, expected {stored - 1}")
    shift = width - stored
    return pixels if shift <= 0 else (pixels << shift) >> shift


def _padding(pixels: np.ndarray, header: pydicom.Dataset) -> np.ndarray | None:
    """Pixels that the header calls padding, bool; ``None`` where it names none."""
    try:
        ends = [header.get(tag) for tag in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
        found = [int(end) for end in ends if end not in (None, "", b"")]
    except (TypeError, ValueError):
        return None
    if not found or ends[0] in (None, "", b"") or pixels.dtype.kind not in "iu":
        return None
    # the tag may be read with the wrong sign, as the pixels are
    low, high = sorted(np.array(found, np.int64).astype(pixels.dtype).tolist() * 2)[:: len(found) * 2 - 1]
    return (pixels >= low) & (pixels <= high)
