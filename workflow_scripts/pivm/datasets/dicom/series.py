"""One CT series to a volume: which files belong to it, their order along the normal, HU slice by slice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from pivm.datasets.dicom.headers import instance_uid, numbers, read_headers, sop_class, text, whole_number
from pivm.datasets.dicom.multi_frame import find_multi_frame, frames_hu
from pivm.datasets.dicom.pixels import slice_hu
from pivm.datasets.dicom.stack import UNEVEN_STEP, Series, Slice
from pivm.datasets.listing import person_key
from pivm.errors import DataError
from pivm.scans.hu_range import HuRange
from pivm.scans.nifti import Stored, Volume

#: angle between the line of the slice positions and the normal of the slices that still counts as none, degrees
MAX_TILT_DEGREES = 1.0
#: deviation of the row and column directions from unit vectors at right angles
MAX_SKEW = 1e-2
MULTI_FRAME = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def find_series(files: Iterable[Path], name: str) -> Series:
    """The one CT series among some files; localisers are left out.

    Args:
        files: of a folder.
        name: of the folder, for messages.

    Raises:
        DataError: no CT, several series, slices that do not form one regular stack, or a tilted gantry.
    """
    found = read_headers(files)
    images = [(p, h) for p, h in found if sop_class(h) == CTImageStorage and not _is_localiser(h)]
    frames = [(p, h) for p, h in found if sop_class(h) in MULTI_FRAME and not _is_localiser(h)]
    if frames and (images or len(frames) > 1):
        raise DataError(f"{name}: {len(frames)} multi-frame CT and {len(images)} CT slices, expected one series")
    if frames:
        return find_multi_frame(*frames[0], name)
    if not images:
        kinds = sorted({text(h, "Modality") or "?" for _, h in found})
        raise DataError(
            f"{name}: no CT slice among {len(found)} DICOM files (modalities: {', '.join(kinds) or 'none'})"
        )
    slices = [_facts(path, header) for path, header in images]
    series = sorted({one.series for one in slices})
    if len(series) > 1:
        texts = sorted({(text(h, "SeriesDescription") or "?")[:40] for _, h in images})
        if "" in series:
            lacking = next(one.path for one in slices if not one.series)
            raise DataError(f"{lacking}: the header lacks SeriesInstanceUID, which other slices in the folder have")
        raise DataError(f"{name}: {len(series)} CT series in one folder ({', '.join(texts)}), expected one")
    # the same slice copied twice counts once; slices that share a UID by mistake differ in their position
    once = {(one.uid or str(one.path), tuple(one.position)): one for one in reversed(slices)}
    if len(once) == 1 < len(slices):
        where = ", ".join(f"{mm:.6g}" for mm in slices[0].position)
        raise DataError(
            f"{name}: {len(slices)} files that all say to be the same slice (SOPInstanceUID {slices[0].uid or 'none'}, "
            f"ImagePositionPatient {where}), so their order is unknown"
        )
    return _stack(list(once.values()), name)


def _is_localiser(header: pydicom.Dataset) -> bool:
    return any(word in text(header, "ImageType").upper() for word in ("LOCALIZER", "SCOUT"))


def _facts(path: Path, header: pydicom.Dataset) -> Slice:
    lacking = [
        tag
        for tag in (
            *("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"),
            *("ImagePositionPatient", "RescaleSlope", "RescaleIntercept"),
        )
        if tag not in header
    ]
    if lacking:
        raise DataError(f"{path}: the header lacks {', '.join(lacking)}")
    spacing = numbers(path, header, "PixelSpacing", 2)
    if spacing.min() <= 0:
        raise DataError(f"{path}: PixelSpacing is {spacing.tolist()}, expected two lengths above 0 mm")
    orientation = numbers(path, header, "ImageOrientationPatient", 6).reshape(2, 3)
    if np.abs(orientation @ orientation.T - np.eye(2)).max() > MAX_SKEW:
        raise DataError(
            f"{path}: ImageOrientationPatient is {orientation.ravel().tolist()}, expected two unit vectors at right "
            "angles"
        )
    slope = float(numbers(path, header, "RescaleSlope", 1)[0])
    if slope == 0:
        raise DataError(f"{path}: RescaleSlope is 0, so the pixels hold no HU")
    return Slice(
        path=path,
        uid=instance_uid(header),
        rows=whole_number(path, header, "Rows", 1, 65535),
        columns=whole_number(path, header, "Columns", 1, 65535),
        spacing=spacing,
        orientation=orientation,
        position=numbers(path, header, "ImagePositionPatient", 3),
        slope=slope,
        intercept=float(numbers(path, header, "RescaleIntercept", 1)[0]),
        frame=text(header, "FrameOfReferenceUID"),
        series=text(header, "SeriesInstanceUID"),
        patient=text(header, "PatientID"),
    )


def _stack(slices: list[Slice], name: str) -> Series:
    """Order slices along their normal and find the affine of the stack."""
    first = slices[0]
    for tag, attribute in (
        ("Rows", "rows"),
        ("Columns", "columns"),
        ("PixelSpacing", "spacing"),
        ("ImageOrientationPatient", "orientation"),
    ):
        if not all(np.allclose(getattr(s, attribute), getattr(first, attribute), atol=1e-3) for s in slices):
            raise DataError(f"{name}: slices of one series differ in {tag}")
    for tag, attribute in (("FrameOfReferenceUID", "frame"), ("PatientID", "patient")):
        if len({getattr(s, attribute) for s in slices}) > 1:
            raise DataError(f"{name}: slices of one series differ in {tag}")
    along_row, along_column = first.orientation
    normal = np.cross(along_row, along_column)
    positions = np.array([s.position for s in slices])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    step = _step(positions, normal, name)
    between_rows, between_columns = first.spacing
    affine = np.eye(4)
    affine[:3] = np.column_stack([along_row * between_columns, along_column * between_rows, step, positions[0]])
    shape = (first.columns, first.rows, len(slices))
    return Series(name, shape, affine, first.frame, first.series, first.patient, [slices[i] for i in order])


def _step(positions: np.ndarray, normal: np.ndarray, name: str) -> np.ndarray:
    """The vector from one slice to the next, mm."""
    if len(positions) < 2:
        raise DataError(f"{name}: a single slice, so its thickness is unknown")
    heights = positions @ normal
    steps = np.diff(heights)
    double = np.flatnonzero(steps < 1e-3)
    if double.size:
        raise DataError(f"{name}: {double.size + 1} or more slices at one position, {heights[double[0]]:.6g} mm")
    # positions are often rounded, so they are held against a regular stack and not against their neighbours
    usual = float(np.median(steps))
    regular = np.linspace(heights[0], heights[-1], len(heights))
    if np.abs(heights - regular).max() > UNEVEN_STEP * usual:
        at = int(np.abs(steps - usual).argmax())
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

    Args:
        files: of a folder.
        name: of the folder, for messages.
        padding_hu: values below it are counted as padding.

    Raises:
        DataError: as :func:`find_series`; or pixels that cannot be decoded, or are not HU.
    """
    series = find_series(files, name)
    image, values = Stored(name, series.shape, LPS_TO_RAS @ series.affine), HuRange(name, padding_hu)
    if series.multi_frame:
        planes = frames_hu(series)
    else:
        shape = (series.shape[1], series.shape[0])
        planes = (slice_hu(s.path, shape, s.slope, s.intercept) for s in series.slices)
    stored = None
    for k, plane in enumerate(planes):
        taken = values.take(plane).T
        if stored is None:  # only now do the files prove to hold pixels at all
            stored = np.empty(series.shape, np.int16, order="F")
        stored[..., k] = taken
    if stored is None:
        raise DataError(f"{name}: no slice with pixels")
    values.check()
    return Volume(image.to_ras(stored), image.grid.affine, values.padding, person_key(series.patient))
