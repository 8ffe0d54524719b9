"""DICOM headers: which files are DICOM, and values of tags that are checked before they are used."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pivm.errors import DataError
from pivm.scans.files import short

#: endings that promise a DICOM file
ENDINGS = (".dcm", ".dicom", ".ima")
#: bytes of the preamble and of the letters after it
PREAMBLE = 132
TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "FrameOfReferenceUID",
    "PatientID",
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


def read_headers(files: Iterable[Path]) -> list[tuple[Path, pydicom.Dataset]]:
    """The headers of those files that are DICOM; pixels are not read.

    Args:
        files: of a folder; notes and the like among them are left out.

    Raises:
        DataError: a DICOM file is damaged, so that a slice or an organ of it might be lost.
    """
    found = []
    for path in files:
        if is_dicom(path):
            header = read_dicom(path, stop_before_pixels=True, specific_tags=TAGS)
            if not sop_class(header):
                raise DataError(f"{path}: damaged DICOM file: it does not say of which kind it is (SOPClassUID)")
            found.append((path, header))
    return found


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, with the preamble of the standard or without, as old scanners write it.

    Raises:
        DataError: its name ends in .dcm, and it is not.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(PREAMBLE)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({short(error)})") from None
    if start[-4:] == b"DICM" or _begins_with_a_tag(start):
        return True
    if path.suffix.lower() in ENDINGS:
        raise DataError(f"{path}: no DICOM file, though its name says so: cut off or damaged")
    return False


def _begins_with_a_tag(start: bytes) -> bool:
    """A first tag of group 0002 or 0008, in little endian."""
    return start[:2] in (b"\x02\x00", b"\x08\x00") and len(start) > 8 and start[3] == 0 and start[2] < 0x20


def read_dicom(path: Path, **options) -> pydicom.Dataset:
    """Read a DICOM file.

    Args:
        path: of the file.
        options: of :func:`pydicom.dcmread`.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # a damaged length of gigabytes is not reserved here, as it would be on reading from the file
            header = pydicom.dcmread(cast(BinaryIO, content), force=True, **options)
        if "TransferSyntaxUID" not in header.file_meta:  # without a preamble pixels could not be decoded
            implicit = header.original_encoding[0] is not False
            header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    except Exception as error:  # pydicom raises what it meets: struct.error, OSError, TypeError
        raise DataError(f"{path}: damaged DICOM file ({type(error).__name__}: {short(error)})") from None
    return header


def text(header: pydicom.Dataset, tag: str) -> str:
    """The value of a tag as text; empty where there is none that can be read."""
    try:
        value = header.get(tag)
    except Exception:
        return ""
    return "" if value is None else str(value)


def sop_class(header: pydicom.Dataset) -> str:
    """The kind of object; de-identified files may keep it in the file's meta information alone."""
    return text(header, "SOPClassUID") or text(header.file_meta, "MediaStorageSOPClassUID")


def instance_uid(header: pydicom.Dataset) -> str:
    """The UID of the object, from the header or the file's meta information."""
    return text(header, "SOPInstanceUID") or text(header.file_meta, "MediaStorageSOPInstanceUID")


def numbers(path: Path, header: pydicom.Dataset, tag: str, count: int) -> np.ndarray:
    """The numbers of a tag, float [count].

    Args:
        path: of the file, for messages.
        header: that holds the tag.
        tag: its keyword.
        count: numbers that it must hold.

    Raises:
        DataError: the tag is lacking or empty, or holds another count, or no finite numbers.
    """
    if tag not in header:
        raise DataError(f"{path}: the header lacks {tag}")
    try:
        value = header.get(tag)
    except Exception as error:
        raise DataError(f"{path}: {tag} cannot be read ({type(error).__name__}: {short(error)})") from None
    if value is None or (hasattr(value, "__len__") and not len(value)):
        raise DataError(f"{path}: {tag} is empty, expected {_count(count)}")
    items = [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else list(value)
    if len(items) != count:
        raise DataError(f"{path}: {tag} holds {len(items)} values, expected {_count(count)}")
    try:
        found = np.array([float(str(item)) for item in items])
    except ValueError:
        found = np.array([np.nan])
    if not np.isfinite(found).all():
        raise DataError(f"{path}: {tag} is {str(value)[:40]!r}, expected {_count(count)}")
    return found


def _count(count: int) -> str:
    return "a number" if count == 1 else f"{count} numbers"


def whole_number(path: Path, header: pydicom.Dataset, tag: str, low: int, high: int) -> int:
    """The whole number of a tag.

    Raises:
        DataError: as :func:`numbers`; or it lies outside ``low`` to ``high``.
    """
    value = float(numbers(path, header, tag, 1)[0])
    if not value.is_integer() or not low <= value <= high:
        raise DataError(f"{path}: {tag} is {value:g}, expected a whole number from {low} to {high}")
    return int(value)
