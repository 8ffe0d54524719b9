"""The training sets of Tables 2 and 3: real slices, synthetic slices, or both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.store import SliceStore


def real_part(store: SliceStore, count: int | str, subjects: set[str]) -> tuple[np.ndarray, np.ndarray]:
    """Real training slices.

    Args:
        count: ``all``, or how many, spread evenly over the training slices.
        subjects: receives their patients.

    Returns:
        (int16 HU [N, H, W], uint8 labels [N, H, W])
    """
    rows = store.rows("train")
    if count != "all" and count < len(rows):
        rows = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
    subjects.update(store.index["subject"][rows])
    return Rows(store.hu, rows), Rows(store.labels, rows)


def synthetic_part(folder: Path, subjects: set[str]) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic slices as :mod:`pivm.synthesis.slices` wrote them, memory-mapped.

    Args:
        subjects: receives the patients whose labels were used.
    """
    subjects.update(read_patient_csv(folder / "index.csv")["source_subject"])
    return tuple(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("hu", "labels"))


class Rows:
    """A choice of rows of a memory-mapped array, read only when asked for."""

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self._array, self._rows = array, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._array[self._rows[i]]


class TrainingSlices:
    """The union of the parts of a training set.

    Args:
        parts: each (int16 HU [N, H, W], uint8 labels [N, H, W]), read row by row.
    """

    def __init__(self, parts: list[tuple[np.ndarray, np.ndarray]]):
        self._parts, self._starts = parts, np.cumsum([0, *(len(hu) for hu, _ in parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batch(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """int16 HU and uint8 labels [n, H, W]."""
        part = np.searchsorted(self._starts, rows.numpy(), side="right") - 1
        picked = [(self._parts[p], int(r) - self._starts[p]) for p, r in zip(part, rows, strict=True)]
        return tuple(torch.from_numpy(np.stack([arrays[which][r] for arrays, r in picked])) for which in (0, 1))
