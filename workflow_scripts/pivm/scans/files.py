"""Opening files and members of zip archives as streams; compressed NIfTI are unpacked on the way."""

from __future__ import annotations

import functools
import io
import os
import zipfile
import zlib
from typing import cast

from isal import igzip, isal_zlib

from pivm.errors import DataError, first_line

SEPARATOR = "::"
#: what reading a damaged file may raise
READ_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    zlib.error,
    cast(type[Exception], isal_zlib.error),  # its stub declares an exception where the class stands
    zipfile.BadZipFile,
    ValueError,
    KeyError,
)
#: folders that systems put beside the data: macOS, NAS, recycle bins
_SYSTEM_FOLDERS = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"))


def is_ghost(*parts: str) -> bool:
    """Whether a file or folder is none of the data: hidden, as the ``._*`` of macOS, or in a folder of the system.

    Args:
        parts: names along its path, from the folder of the data set on.

    >>> is_ghost("__MACOSX", "scans", "._ct.nii.gz"), is_ghost(".DS_Store"), is_ghost("scans", "ct.nii.gz")
    (True, True, False)
    """
    return any((part.startswith(".") and part != "..") or part.casefold() in _SYSTEM_FOLDERS for part in parts)


#: Python that converts a file of most formats, and what it needs beside this project
_SIMPLEITK = ("import SimpleITK as s; s.WriteImage(s.ReadImage({old!r}), {new!r})", " (pip install SimpleITK)")
#: the same for what SimpleITK does not read
_NIBABEL = ("import nibabel as n; n.save(n.Nifti1Image.from_image(n.load({old!r})), {new!r})", "")
_MGH = "FreeSurfer's MGH"
#: endings of formats that other programs read
_FOREIGN = {
    **dict.fromkeys((".nrrd", ".nhdr"), "NRRD"),
    **dict.fromkeys((".mha", ".mhd"), "MetaImage"),
    **dict.fromkeys((".mgz", ".mgh"), _MGH),
    **dict.fromkeys((".img", ".hdr"), "Analyze or NIfTI in two files"),
}


def how_to_convert(name: str) -> str:
    """What a file of another format is and the line that converts it; empty for other files.

    >>> how_to_convert("ct.mha")[:69]
    'ct.mha is MetaImage, which is not read; convert it (pip install Simpl'
    >>> how_to_convert("ct.nii.gz")
    ''
    """
    stem, dot, ending = name.rpartition(".")
    what = _FOREIGN.get(dot + ending.lower())
    if not what:
        return ""
    line, needs = _NIBABEL if what == _MGH else _SIMPLEITK
    line = line.format(old=name, new=f"{stem}.nii.gz")
    return f'{name} is {what}, which is not read; convert it{needs}: python -c "{line}"'


def open_zip(path: str) -> zipfile.ZipFile:
    """An archive, opened once per process: the list of members of a large one takes a second to read."""
    return _open_zip(path, os.stat(path).st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _open_zip(path: str, _changed: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def open_stream(place: str) -> io.IOBase:
    """Open a file, or the member of ``archive.zip::member``; gzip is told by its magic bytes.

    Raises:
        DataError: missing, or the archive is no zip.
    """
    archive, _, member = str(place).partition(SEPARATOR)
    try:
        if member:
            stream: io.IOBase = io.BytesIO(open_zip(archive).read(member))
        else:
            stream = open(archive, "rb")  # noqa: SIM115 - the caller reads on
    except FileNotFoundError:
        raise DataError(f"{place}: no such file") from None
    except READ_ERRORS as error:
        raise DataError(f"{place}: cannot be read ({short(error)})") from None
    magic = stream.read(2)
    stream.seek(0)
    return igzip.GzipFile(fileobj=stream) if magic == b"\x1f\x8b" else stream


def short(error: Exception) -> str:
    """The first line of an error's text, cut to fit a table of reasons."""
    return first_line(error)[:160]
