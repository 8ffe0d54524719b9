"""One CT series to a volume: which files belong to it, their order along the normal, HU slice by slice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from pivm.errors import DataError
from pivm.scans.files import short
from pivm.scans.nifti import HuRange, Stored, Volume

#: steps between slices may differ by this share of the median step
UNEVEN_STEP = 0.05
#: angle between the line of the slice positions and the normal of the slices that still counts as none, degrees
MAX_TILT_DEGREES = 1.0
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "FrameOfReferenceUID",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "RescaleSlope",
    "RescaleIntercept",
]
_PIXEL_ERRORS = (OSError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError, RuntimeError, TypeError)


@dataclass(frozen=True)
class Series:
    """The slices of one CT series, lowest position along the normal first.

    Attributes:
        files, headers, uids: one per slice; frame: UID of the frame of reference.
        affine: index (column, row, slice) to mm in the patient's LPS coordinates.
    """

    name: str
    files: list[Path]
    headers: list[pydicom.Dataset]
    affine: np.ndarray

    @property
    def uids(self) -> list[str]:
        """SOP instance UID of each slice."""
        return [instance_uid(h) for h in self.headers]

    @property
    def frame(self) -> str:
        """Its frame of reference, empty where the headers have none."""
        return str(self.headers[0].get("FrameOfReferenceUID", ""))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        return int(self.headers[0].Columns), int(self.headers[0].Rows), len(self.files)


def sop_class(header: pydicom.Dataset) -> str:
    """The kind of object; de-identified files may keep it in the file's meta information alone."""
    return str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or "")


def instance_uid(header: pydicom.Dataset) -> str:
    """The UID of an object, from its header or its file's meta information."""
    return str(header.get("SOPInstanceUID") or header.file_meta.get("MediaStorageSOPInstanceUID") or "")


def read_headers(files: Iterable[Path]) -> list[tuple[Path, pydicom.Dataset]]:
    """The headers of those files that are DICOM; pixels are not read."""
    found = []
    for path in files:
        try:
            found.append((path, pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)))
        except (InvalidDicomError, OSError, EOFError, ValueError):
            continue  # notes, DICOMDIR and the like; a damaged slice shows as a gap
    return found


def find_series(files: Iterable[Path], name: str) -> Series:
    """The one CT series among some files; localisers are left out.

    Args:
        name: of the folder, for messages.

    Raises:
        DataError: no CT, several series, slices that do not form one regular stack, or a tilted gantry.
    """
    found = read_headers(files)
    images = [(p, h) for p, h in found if sop_class(h) == CTImageStorage and not _is_localiser(h)]
    if not images:
        if any(sop_class(h) == EnhancedCTImageStorage for _, h in found):
            raise DataError(f"{name}: enhanced multi-frame CT, which is not read; convert it to single slices")
        kinds = sorted({str(h.get("Modality", "?")) for _, h in found})
        raise DataError(
            f"{name}: no CT slice among {len(found)} DICOM files (modalities: {', '.join(kinds) or 'none'})"
        )
    series = sorted({str(h.get("SeriesInstanceUID", "")) for _, h in images})
    if len(series) > 1:
        texts = sorted({str(h.get("SeriesDescription", "?"))[:40] for _, h in images})
        raise DataError(f"{name}: {len(series)} CT series in one folder ({', '.join(texts)}), expected one")
    once = {instance_uid(h) or str(p): (p, h) for p, h in reversed(images)}  # the same slice copied twice counts once
    return _stack(list(once.values()), name)


def _is_localiser(header: pydicom.Dataset) -> bool:
    return bool({"LOCALIZER", "SCOUT"} & {str(v).upper() for v in header.get("ImageType", [])})


def _stack(images: list[tuple[Path, pydicom.Dataset]], name: str) -> Series:
    """Order slices along their normal and find the affine of the stack."""
    for path, header in images:
        lacking = [t for t in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient") if t not in header]
        lacking += [t for t in ("ImagePositionPatient", "RescaleSlope", "RescaleIntercept") if t not in header]
        if lacking:
            raise DataError(f"{path}: the header lacks {', '.join(lacking)}")
    first = images[0][1]
    for tag in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "FrameOfReferenceUID"):
        values = [np.atleast_1d(h.get(tag, "")) for _, h in images]
        alike = [
            np.allclose(v, values[0], atol=1e-3) if tag != "FrameOfReferenceUID" else v == values[0] for v in values
        ]
        if not np.all(alike):
            raise DataError(f"{name}: slices of one series differ in {tag}")
    along_row, along_column = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    positions = np.array([h.ImagePositionPatient for _, h in images], float)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    step = _step(positions, normal, name)
    between_rows, between_columns = (float(v) for v in first.PixelSpacing)
    affine = np.eye(4)
    affine[:3] = np.column_stack([along_row * between_columns, along_column * between_rows, step, positions[0]])
    return Series(name, [images[i][0] for i in order], [images[i][1] for i in order], affine)


def _step(positions: np.ndarray, normal: np.ndarray, name: str) -> np.ndarray:
    """The vector from one slice to the next, mm."""
    if len(positions) < 2:
        raise DataError(f"{name}: a single slice, so its thickness is unknown")
    heights = positions @ normal
    steps = np.diff(heights)
    usual = float(np.median(steps))
    double = np.flatnonzero(steps < 1e-3)
    if double.size:
        raise DataError(f"{name}: {double.size + 1} or more slices at one position, {heights[double[0]]:.6g} mm")
    uneven = np.flatnonzero(np.abs(steps - usual) > UNEVEN_STEP * usual)
    if uneven.size:
        at = uneven[0]
        raise DataError(
            f"{name}: slices are missing or uneven: {steps[at]:.4g} mm from {heights[at]:.6g} to "
            f"{heights[at + 1]:.6g} mm, elsewhere {usual:.4g} mm"
        )
    line = positions[-1] - positions[0]
    tilt = float(np.degrees(np.arccos(np.clip(line @ normal / np.linalg.norm(line), -1, 1))))
    if tilt > MAX_TILT_DEGREES:
        raise DataError(f"{name}: gantry tilt of {tilt:.3g} degrees, which is not resampled")
    return line / (len(positions) - 1)


def read_series(files: Iterable[Path], name: str, padding_hu: float) -> Volume:
    """Read the one CT series among some files as int16 HU; slope and intercept are those of each slice.

    Raises:
        DataError: as :func:`find_series`; or pixels that cannot be decoded, or are not HU.
    """
    series = find_series(files, name)
    image = Stored(name, series.shape, LPS_TO_RAS @ series.affine)
    stored, values = np.empty(series.shape, np.int16, order="F"), HuRange(name, padding_hu)
    for k, (path, header) in enumerate(zip(series.files, series.headers, strict=True)):
        try:
            pixels = pydicom.dcmread(path).pixel_array
        except _PIXEL_ERRORS as error:
            raise DataError(f"{path}: pixels cannot be decoded ({short(error)})") from None
        slope, intercept = float(header.RescaleSlope), float(header.RescaleIntercept)
        if slope == 1 and intercept.is_integer():
            stored[..., k] = values.take(pixels.astype(np.int32) + int(intercept)).T
        else:
            stored[..., k] = values.take(pixels * slope + intercept).T
    values.check()
    return Volume(image.to_ras(stored), image.grid.affine, values.padding)
