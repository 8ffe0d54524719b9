"""NIfTI volumes in and out: headers checked before voxels, RAS+ by the affine, HU as int16."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from pivm.errors import DataError

#: voxels of the largest volume that is read; a header that claims more is refused before allocation
MAX_VOXELS = 2**30
#: largest difference of two affines that still means the same grid, mm
AFFINE_TOLERANCE_MM = 1e-2
_READ_ERRORS = (OSError, EOFError, zlib.error, gzip.BadGzipFile, ImageFileError, ValueError, KeyError)


@dataclass(frozen=True)
class Volume:
    """A CT in RAS+ orientation.

    Attributes:
        hu: int16 [R, A, S].
        affine: float [4, 4], voxel index to mm.
    """

    hu: np.ndarray
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along R, A and S."""
        return tuple(float(s) for s in nib.affines.voxel_sizes(self.affine))


def open_image(path: Path) -> nib.Nifti1Image:
    """Open a NIfTI file, check its header and turn it to RAS+; voxels are not read yet.

    Raises:
        DataError: missing, not NIfTI, not 3D, a side of length 0, too many voxels, or no usable spacing.
    """
    try:
        image = nib.load(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except _READ_ERRORS as error:
        raise DataError(f"{path}: not a readable NIfTI file ({_short(error)})") from None
    shape = image.shape
    if len(shape) == 4 and shape[3] == 1:
        image, shape = image.slicer[..., 0], shape[:3]
    if len(shape) != 3:
        raise DataError(f"{path}: found {len(shape)} dimensions {shape}, expected a 3D volume")
    if min(shape) < 1 or int(np.prod(shape, dtype=object)) > MAX_VOXELS:
        raise DataError(f"{path}: header claims {shape} voxels, expected 1 to {MAX_VOXELS} in all")
    if not np.all(np.isfinite(image.affine)) or abs(np.linalg.det(image.affine[:3, :3])) < 1e-6:
        raise DataError(f"{path}: the affine is singular or not finite, so spacing is unknown")
    return nib.as_closest_canonical(image)


def read_voxels(image: nib.Nifti1Image, path: Path) -> np.ndarray:
    """All voxels of an opened image, scaled by its header, in the dtype that the file implies.

    Raises:
        DataError: the file ends early or is corrupt.
    """
    try:
        return np.asanyarray(image.dataobj)
    except _READ_ERRORS as error:
        raise DataError(f"{path}: voxels cannot be read, file truncated or corrupt ({_short(error)})") from None


def read_ct(path: Path) -> Volume:
    """Read a CT as int16 HU.

    Raises:
        DataError: as :func:`open_image`; or voxels that are NaN, infinite, beyond int16, or all alike.
    """
    image = open_image(path)
    hu = read_voxels(image, path)
    if hu.dtype.kind == "f":
        wrong = int(np.size(hu) - np.count_nonzero(np.isfinite(hu)))
        if wrong:
            raise DataError(f"{path}: {wrong} voxels are NaN or infinite, expected finite HU")
        hu = np.rint(hu)
    elif hu.dtype.kind not in "iu":
        raise DataError(f"{path}: voxels are {hu.dtype}, expected numbers")
    low, high = float(hu.min()), float(hu.max())
    if low == high:
        raise DataError(f"{path}: every voxel is {low:g}, expected a CT in HU")
    if low < -32768 or high > 32767:
        raise DataError(f"{path}: values {low:g} to {high:g} do not fit HU in int16")
    if low >= 0:
        raise DataError(
            f"{path}: no value below 0 (found {low:g} to {high:g}); HU of air is -1000, "
            "so the rescale intercept seems not to be applied"
        )
    return Volume(np.ascontiguousarray(hu, np.int16), image.affine)


def read_label_map(
    masks: Mapping[int, Path], reference: Volume, overlap: str
) -> tuple[np.ndarray, dict[int, int], int]:
    """Merge one mask file per organ into a label map on the grid of the CT.

    Args:
        masks: label id -> mask file; voxels above 0.5 belong to the organ.
        overlap: ``first`` (the lower id keeps a voxel), ``last`` or ``error``.

    Returns:
        (labels uint8 [R, A, S], voxels per label id, voxels that more than one mask claims)

    Raises:
        DataError: a mask of another shape or affine, an unreadable mask, or an overlap under ``error``.
    """
    labels = np.zeros(reference.hu.shape, np.uint8)
    overlapping = 0
    for label in sorted(masks):
        path = masks[label]
        image = open_image(path)
        if image.shape != labels.shape:
            raise DataError(f"{path}: mask has shape {image.shape}, the CT {labels.shape}")
        off = float(np.abs(image.affine - reference.affine).max())
        if off > AFFINE_TOLERANCE_MM:
            raise DataError(f"{path}: mask and CT lie on different grids, affines differ by {off:.3g} mm")
        mask = read_voxels(image, path) > 0.5
        taken = mask & (labels > 0)
        count = int(np.count_nonzero(taken))
        overlapping += count
        if count and overlap == "error":
            raise DataError(f"{path}: {count} voxels already belong to another organ (selection.overlap: error)")
        if count and overlap == "first":
            mask &= ~taken
        labels[mask] = label
    counts = np.bincount(labels.ravel(), minlength=max(masks, default=0) + 1)
    return labels, {label: int(counts[label]) for label in masks}, overlapping


def write_volume(array: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Write int16 HU or uint8 labels [R, A, S] as compressed NIfTI in mm."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[:160]
