"""The memory-mapped store that the slices of all scans end up in."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from pivm.cohort.patient_csv import read_patient_csv
from pivm.errors import StateError

DTYPES = {"hu": np.int16, "labels": np.uint8, "body": np.bool_}
#: hashes of the files of a store, as `sha256sum --check` reads them
SUMS = "SHA256SUMS"
_BLOCK = 2**24
#: arrays of one scan, or the paths of the files that hold them
Arrays = Mapping[str, Path] | Mapping[str, np.ndarray]


class LabelStore:
    """Label maps in standard form, memory-mapped and read at random.

    Attributes:
        labels: uint8 [N, H, W].
        body: bool [N, H, W], the patient's outline.
        index: one row per slice: ``subject, patient, split, z, role, previous, pixel_mm``, ``step_mm`` to the next
            target slice and ``below_mm`` to the slice right below.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("labels", "body")
    labels: np.ndarray
    body: np.ndarray
    index: pd.DataFrame

    def __init__(self, folder: Path, split: Mapping[str, str] | None = None):
        """Open a store.

        Args:
            folder: as :meth:`write` wrote it.
            split: scan -> split, which stands for what the store says of it; a scan that it does not name is in none.

        Raises:
            StateError: a file is none of a store, or another number of slices than the index.
        """
        folder = Path(folder)
        self.index = read_patient_csv(folder / "index.csv")
        if split is not None:
            self.index["split"] = self.index["subject"].map(split).fillna("")
        for name in self.ARRAYS:
            try:
                array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            except ValueError as error:
                raise StateError(f"{folder / name}.npy: not a slice store array ({error})") from None
            if len(array) != len(self.index) or array.dtype != DTYPES[name]:
                raise StateError(
                    f"{folder / name}.npy: found {len(array)} slices of {array.dtype}, "
                    f"expected {len(self.index)} of {np.dtype(DTYPES[name])}; delete the folder and run again"
                )
            setattr(self, name, array)

    @classmethod
    def checked(cls, folder: Path, split: Mapping[str, str] | None = None) -> Self:
        """A store to learn from: its files are read once and held against the hashes of when they were written.

        Raises:
            StateError: a file is damaged, or there are no hashes.
        """
        sums = Path(folder) / SUMS
        if not sums.is_file():
            raise StateError(f"{sums}: no such file; delete the folder and run again")
        for line in sums.read_text(encoding="utf-8").splitlines():
            written, _, name = line.partition("  ")
            if (found := _hash(Path(folder) / name)) != written:
                raise StateError(
                    f"{Path(folder) / name}: damaged since it was written (SHA-256 {found[:16]}, expected "
                    f"{written[:16]}); check the disk, delete the folder {folder} and run again: it is made anew"
                )
        return cls(folder, split)

    @classmethod
    def write(cls, folder: Path, parts: Iterable[tuple[pd.DataFrame, Arrays]], size: int) -> None:
        """Concatenate the slices of many scans, and write down the hashes of the files.

        Args:
            folder: receives them.
            parts: per scan its rows (with ``previous`` counted inside the scan) and its arrays, or the paths of these,
                so that one scan is in memory at a time.
            size: pixels per side of a slice.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        parts = list(parts)
        total = sum(len(rows) for rows, _ in parts)
        out = {name: new_array(folder / f"{name}.npy", DTYPES[name], (total, size, size)) for name in cls.ARRAYS}
        start, frames = 0, []
        for rows, arrays in parts:
            for name in cls.ARRAYS:
                given = arrays[name]
                stack = given if isinstance(given, np.ndarray) else np.load(given, allow_pickle=False)
                out[name][start : start + len(rows)] = stack
            shifted = rows.copy()
            shifted["previous"] = np.where(rows["previous"] < 0, -1, rows["previous"] + start)
            frames.append(shifted)
            start += len(rows)
        for array in out.values():
            array.flush()
        pd.concat(frames, ignore_index=True).to_csv(folder / "index.csv", index=False)
        names = ["index.csv", *(f"{name}.npy" for name in cls.ARRAYS)]
        (folder / SUMS).write_text("".join(f"{_hash(folder / name)}  {name}\n" for name in names), encoding="utf-8")

    @property
    def size(self) -> int:
        """Pixels per side of a slice."""
        return self.labels.shape[-1]

    def rows(self, split: str) -> np.ndarray:
        """Rows of the target slices of one split, in store order."""
        chosen = (self.index["split"] == split) & (self.index["role"] == "target")
        return np.flatnonzero(chosen.to_numpy())


class SliceStore(LabelStore):
    """The slices of a cohort: label maps with their CT.

    Attributes:
        hu: int16 [N, H, W].
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("hu", "labels", "body")
    hu: np.ndarray


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A new memory-mapped ``.npy`` file, of zeros, whose space on the disk is taken before anything is written to it.

    Without that, a disk that is full later ends the process with SIGBUS and no word.

    Raises:
        OSError: there is not enough space; nothing is left of the file.
    """
    try:
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        with open(path, "r+b") as stream:
            _reserve(stream, os.path.getsize(path))
    except OSError as error:
        Path(path).unlink(missing_ok=True)
        raise OSError(error.errno, os.strerror(error.errno or errno.ENOSPC), str(path)) from None
    return array


def _reserve(stream: BinaryIO, size: int) -> None:
    """Take space for a file; where the system cannot, by writing what the file holds already."""
    try:
        os.posix_fallocate(stream.fileno(), 0, size)
    except (AttributeError, OSError) as error:  # macOS has no such call, and some file systems refuse it
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        while block := stream.read(_BLOCK):
            stream.seek(-len(block), os.SEEK_CUR)
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


def _hash(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
