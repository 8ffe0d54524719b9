"""How generators of single slices serve slices of a store: batch by batch, in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pivm.cohort.prior import Prior
from pivm.generators.protocol import GeneratedSlices, MemorySetting

if TYPE_CHECKING:
    from pivm.cohort.store import LabelStore


class SliceWise(ABC):
    """For generators that make each slice by itself: ``generate_sources`` from ``generate``."""

    prior: Prior
    #: called with the number of slices of volumes that were made since it was last called
    on_slices: Callable[[int], object] | None = None

    @property
    def sees_below(self) -> bool:
        """Slices are made one by one, and a volume of them, unless the kind says otherwise."""
        return False

    @abstractmethod
    def generate(
        self, label_map: np.ndarray, seeds: Sequence[int], patient_seeds: Sequence[int] | None = None
    ) -> np.ndarray:
        """As :meth:`pivm.generators.protocol.Generator.generate`."""

    def memory_setting(self, key: str, value: int) -> MemorySetting:
        """The setting of the caller: how many slices it asks for at once."""
        return MemorySetting(key, value)

    def generate_sources(
        self, store: LabelStore, sources: np.ndarray, seeds: Sequence[int], batch: int, patient_seeds: Sequence[int]
    ) -> Iterator[GeneratedSlices]:
        """As :meth:`pivm.generators.protocol.Generator.generate_sources`, in the order of ``sources``."""
        for start in range(0, len(sources), batch):
            some = slice(start, start + batch)
            rows, row_seeds = sources[some], list(seeds[some])
            label_map = self.prior.label_map(store.labels[rows], store.body[rows])
            positions = list(range(start, start + len(rows)))
            yield GeneratedSlices(positions, self.generate(label_map, row_seeds, patient_seeds[some]), row_seeds)
