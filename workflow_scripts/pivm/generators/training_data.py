"""The training slices of a generator, read from the store batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pivm.cohort.prior import Prior

if TYPE_CHECKING:
    from pivm.cohort.store import SliceStore


class TrainingData:
    """Slices of one split with the slices right below them, read from the store batch by batch.

    Args:
        store: arrays ``hu``, ``labels``, ``body`` [N, H, W].
        prior: makes the label maps.
        rows: the target slices to use.
        previous: per store row the row of the slice below, -1 where there is none.
        per_epoch: slices that count as an epoch; None for those that there are.

    Attributes:
        scan: of each slice, counted from 0, int [len(rows)].
        scans: how many there are.
    """

    def __init__(
        self, store: SliceStore, prior: Prior, rows: np.ndarray, previous: np.ndarray, per_epoch: int | None = None
    ):
        self.store, self.prior, self.rows, self.previous = store, prior, rows, previous
        self.per_epoch = per_epoch or len(rows)
        names, self.scan = np.unique(store.index["subject"].to_numpy()[rows], return_inverse=True)
        self.scans = len(names)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, which: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """int16 HU and uint8 label map [n, H, W], the same of the slices below; bool [n]: is there one; scan [n]."""
        rows = self.rows[which.numpy()]
        below = self.previous[rows]
        safe = np.where(below < 0, rows, below)
        scan = torch.from_numpy(self.scan[which.numpy()])
        return (*self._read(rows), *self._read(safe), torch.from_numpy(below >= 0), scan)

    def arrays(self, some: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """HU and label map of all slices, or of some, int16 and uint8 [N, H, W]."""
        rows = self.rows[some]
        return np.asarray(self.store.hu[rows]), self.prior.label_map(self.store.labels[rows], self.store.body[rows])

    def scan_weights(self) -> np.ndarray:
        """One for every person, shared by its scans, float64 [scans]."""
        _, first = np.unique(self.scan, return_index=True)
        _, person, scans = np.unique(
            self.store.index["patient"].to_numpy()[self.rows[first]], return_inverse=True, return_counts=True
        )
        return 1 / scans[person]

    def _read(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        label_map = self.prior.label_map(self.store.labels[rows], self.store.body[rows])
        return torch.from_numpy(np.asarray(self.store.hu[rows])), torch.from_numpy(label_map)
