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
    """

    def __init__(
        self, store: SliceStore, prior: Prior, rows: np.ndarray, previous: np.ndarray, per_epoch: int | None = None
    ):
        self.store, self.prior, self.rows, self.previous = store, prior, rows, previous
        self.per_epoch = per_epoch or len(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, which: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """int16 HU and uint8 label map [n, H, W], the same of the slices below, and bool [n]: is there one."""
        rows = self.rows[which.numpy()]
        below = self.previous[rows]
        safe = np.where(below < 0, rows, below)
        return (*self._read(rows), *self._read(safe), torch.from_numpy(below >= 0))

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """HU and label map of all slices, int16 and uint8 [N, H, W]."""
        return np.asarray(self.store.hu[self.rows]), self.prior.label_map(
            self.store.labels[self.rows], self.store.body[self.rows]
        )

    def _read(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        label_map = self.prior.label_map(self.store.labels[rows], self.store.body[rows])
        return torch.from_numpy(np.asarray(self.store.hu[rows])), torch.from_numpy(label_map)
