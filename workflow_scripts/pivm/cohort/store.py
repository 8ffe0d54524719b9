"""The memory-mapped store that the slices of all scans end up in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pivm.cohort.patient_csv import read_patient_csv
from pivm.errors import StateError

ARRAYS = ("hu", "labels", "body")
DTYPES = {"hu": np.int16, "labels": np.uint8, "body": np.bool_}


class SliceStore:
    """The slices of a cohort, memory-mapped and read at random.

    Attributes:
        hu: int16 [N, H, W].
        labels: uint8 [N, H, W].
        body: bool [N, H, W], the patient's outline.
        index: one row per slice: ``subject, patient, split, z, role, previous, pixel_mm``, ``step_mm`` to the next
            target slice and ``below_mm`` to the slice right below.
    """

    hu: np.ndarray
    labels: np.ndarray
    body: np.ndarray
    index: pd.DataFrame

    def __init__(self, folder: Path):
        folder = Path(folder)
        self.index = read_patient_csv(folder / "index.csv")
        for name in ARRAYS:
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

    @property
    def size(self) -> int:
        """Pixels per side of a slice."""
        return self.hu.shape[-1]

    def rows(self, split: str) -> np.ndarray:
        """Rows of the target slices of one split, in store order."""
        chosen = (self.index["split"] == split) & (self.index["role"] == "target")
        return np.flatnonzero(chosen.to_numpy())


def write_store(folder: Path, parts: Iterable[tuple[pd.DataFrame, dict[str, Path]]], size: int) -> None:
    """Concatenate the slices of many scans, one scan in memory at a time.

    Args:
        parts: per scan its rows (with ``previous`` counted inside the scan) and the paths of its arrays.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = list(parts)
    total = sum(len(rows) for rows, _ in parts)
    out = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", DTYPES[name], (total, size, size))
        for name in ARRAYS
    }
    start, frames = 0, []
    for rows, paths in parts:
        for name in ARRAYS:
            out[name][start : start + len(rows)] = np.load(paths[name], allow_pickle=False)
        shifted = rows.copy()
        shifted["previous"] = np.where(rows["previous"] < 0, -1, rows["previous"] + start)
        frames.append(shifted)
        start += len(rows)
    for array in out.values():
        array.flush()
    pd.concat(frames, ignore_index=True).to_csv(folder / "index.csv", index=False)
