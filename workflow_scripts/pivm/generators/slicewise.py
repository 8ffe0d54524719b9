"""How generators of single slices serve slices of a store: batch by batch, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pivm.cohort.prior import Prior

if TYPE_CHECKING:
    from pivm.cohort.store import SliceStore


class SliceWise:
    """For generators that make each slice by itself: ``generate_sources`` from ``generate``."""

    def memory_setting(self, key: str, value: int) -> tuple[str, int]:
        """The setting of the caller: how many slices it asks for at once."""
        return key, value

    def generate_sources(
        self, store: SliceStore, prior: Prior, sources: np.ndarray, seeds: list[int], batch: int
    ) -> Iterator[tuple[list[int], np.ndarray, list[int]]]:
        """Yields positions in ``sources``, int16 HU [n, H, W], and the seed of each."""
        for start in range(0, len(sources), batch):
            rows, some = sources[start : start + batch], seeds[start : start + batch]
            label_map = prior.label_map(store.labels[rows], store.body[rows])
            yield list(range(start, start + len(rows))), self.generate(label_map, some), some
