"""The training sets of Tables 2 and 3: real slices, synthetic slices, or both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.store import SliceStore
from pivm.errors import ConfigError
from pivm.segmentation.gate import fold_of


class Rows:
    """A choice of rows of a memory-mapped array, read only when asked for."""

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self._array, self._rows = array, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._array[self._rows[i]]


class Part(NamedTuple):
    """Slices of one source, read row by row.

    Attributes:
        hu: int16 [N, H, W].
        labels: uint8 [N, H, W].
        synthetic: they are added to the real ones.
    """

    hu: np.ndarray | Rows
    labels: np.ndarray | Rows
    synthetic: bool = False


def real_part(store: SliceStore, count: int | str, subjects: set[str], fold: int | None = None) -> Part:
    """Real training slices.

    Args:
        count: ``all``, or how many, spread evenly over the training slices.
        subjects: receives their patients.
        fold: of the training patients alone (:func:`pivm.segmentation.gate.fold_of`); None for all.

    Raises:
        ConfigError: that half is empty.
    """
    rows = store.rows("train")
    if fold is not None:
        patients = store.index["patient"].to_numpy()[rows]
        rows = rows[np.isin(patients, list(fold_of(patients.tolist(), fold)))]
        if not len(rows):
            raise ConfigError("synthesis.keep", "the gate needs two training patients or more; set it to null")
    if isinstance(count, int) and count < len(rows):
        rows = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
    subjects.update(store.index["subject"][rows])
    return Part(Rows(store.hu, rows), Rows(store.labels, rows))


def synthetic_part(folder: Path, subjects: set[str], scores: Path | None = None) -> Part:
    """Synthetic slices as :mod:`pivm.synthesis.slices` wrote them, memory-mapped.

    Args:
        folder: of the slices.
        subjects: receives the patients whose labels were used.
        scores: of the gate (:mod:`pivm.segmentation.gate`), which keeps some of the slices; None: all are used.
    """
    subjects.update(read_patient_csv(folder / "index.csv")["source_subject"])
    hu, labels = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("hu", "labels"))
    if scores is None:
        return Part(hu, labels, synthetic=True)
    kept = np.flatnonzero(pd.read_csv(scores)["keep"])
    return Part(Rows(hu, kept), Rows(labels, kept), synthetic=True)


class TrainingSlices:
    """The union of the parts of a training set.

    Args:
        parts: one of each kind at most, in any order that is the same in every run.

    Attributes:
        parts: the same.
        starts: int [parts + 1], row of the first slice of each part, and the end.

    Raises:
        ValueError: two parts are of one kind.
    """

    def __init__(self, parts: Sequence[Part]):
        if len({part.synthetic for part in parts}) < len(parts):
            raise ValueError("two parts are of one kind")
        self.parts, self.starts = parts, np.cumsum([0, *(len(part.hu) for part in parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def batch(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """int16 HU and uint8 labels [n, H, W]."""
        numbers = np.searchsorted(self.starts, rows.numpy(), side="right") - 1
        picked = [(self.parts[p], int(row) - self.starts[p]) for p, row in zip(numbers, rows, strict=True)]
        hu, labels = ([part.hu[row] for part, row in picked], [part.labels[row] for part, row in picked])
        return torch.from_numpy(np.stack(hu)), torch.from_numpy(np.stack(labels))
