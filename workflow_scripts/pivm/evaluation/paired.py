"""Synthetic slices of held-out patients, which serve evaluation alone, beside the real ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.errors import StateError


class SyntheticRun(NamedTuple):
    """One training of a generator.

    Attributes:
        method: its column in the tables.
        seed: of the training.
    """

    method: str
    seed: int


@dataclass(frozen=True)
class PairedSlices:
    """The real slices of Table 1 and every generator's slices of the same label maps.

    Attributes:
        store: the slice store of the run.
        rows: store row of each slice.
        synthetic: training -> int16 HU [N, H, W], in the same order.
    """

    store: SliceStore
    rows: np.ndarray
    synthetic: dict[SyntheticRun, np.ndarray]

    @classmethod
    def read(cls, inputs, runs: Iterable[tuple[str, int]], part: str = "test") -> PairedSlices:
        """Read the files of a rule.

        Args:
            inputs: paths by attribute: ``store`` and ``split``, and ``synthetic``, ``hu.npy`` and more of each run.
            runs: method and seed, in the order of ``synthetic``.
            part: of the split, whose patients the slices may be of.

        Raises:
            StateError: as :meth:`load`.
        """
        folders = [Path(path).parent for path in inputs.synthetic if path.endswith(".npy")]
        store = SliceStore(Path(inputs.store[0]).parent)
        named = dict(zip((SyntheticRun(*run) for run in runs), folders, strict=True))
        return cls.load(store, read_split(inputs.split), named, part)

    @classmethod
    def load(
        cls, store: SliceStore, split: dict[str, str], folders: dict[SyntheticRun, Path], part: str
    ) -> PairedSlices:
        """Read the folders that :func:`pivm.synthesis.slices.synthesise_slices` wrote.

        Args:
            store: the slice store of the run.
            split: patient -> split.
            folders: training -> folder of its slices.
            part: of the split, whose patients the slices may be of.

        Raises:
            StateError: a patient is of another part, or two generators have other slices.
        """
        synthetic: dict[SyntheticRun, np.ndarray] = {}
        rows = np.zeros(0, int)
        for run, folder in folders.items():
            index = read_patient_csv(Path(folder) / "index.csv")
            require_split(index["source_subject"], split, (part,), f"image fidelity of {run.method}")
            source_rows = index["source_row"].to_numpy()
            rows = rows if synthetic else source_rows
            if not np.array_equal(source_rows, rows):
                raise StateError(
                    f"{folder}: holds {len(source_rows)} slices that are not those of the first generator "
                    f"({len(rows)}); delete the folder and run the workflow again"
                )
            synthetic[run] = np.load(Path(folder) / "hu.npy", mmap_mode="r", allow_pickle=False)
        return cls(store, rows, synthetic)

    def patients(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each patient with the positions of its slices in :attr:`rows`."""
        patients = self.store.index["patient"].to_numpy()[self.rows]
        for patient in dict.fromkeys(patients):
            yield patient, np.flatnonzero(patients == patient)
