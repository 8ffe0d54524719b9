"""Synthetic slices of test patients, which serve evaluation alone, beside the real ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.errors import StateError


@dataclass(frozen=True)
class PairedSlices:
    """The real test slices of Table 1 and every generator's slices of the same label maps.

    Attributes:
        store: the slice store of the run.
        rows: store row of each slice.
        synthetic: method -> int16 HU [N, H, W], in the same order.
    """

    store: SliceStore
    rows: np.ndarray
    synthetic: dict[str, np.ndarray]

    @classmethod
    def read(cls, inputs, methods: Iterable[str]) -> PairedSlices:
        """Read the files of a rule.

        Args:
            inputs: paths by attribute: ``store`` and ``split``, and ``synthetic``, ``hu.npy`` and more of each method.
            methods: in the order of ``synthetic``.

        Raises:
            StateError: as :meth:`load`.
        """
        folders = [Path(path).parent for path in inputs.synthetic if path.endswith(".npy")]
        store = SliceStore(Path(inputs.store[0]).parent)
        return cls.load(store, read_split(inputs.split), dict(zip(methods, folders, strict=True)))

    @classmethod
    def load(cls, store: SliceStore, split: dict[str, str], folders: dict[str, Path]) -> PairedSlices:
        """Read the folders that :func:`pivm.synthesis.slices.synthesise_slices` wrote.

        Args:
            store: the slice store of the run.
            split: patient -> split.
            folders: method -> folder of its slices of test patients.

        Raises:
            StateError: a patient is none of the test split, or two generators have other slices.
        """
        synthetic: dict[str, np.ndarray] = {}
        rows = np.zeros(0, int)
        for method, folder in folders.items():
            index = read_patient_csv(Path(folder) / "index.csv")
            require_split(index["source_subject"], split, ("test",), f"image fidelity of {method}")
            source_rows = index["source_row"].to_numpy()
            rows = rows if synthetic else source_rows
            if not np.array_equal(source_rows, rows):
                raise StateError(
                    f"{folder}: holds {len(source_rows)} slices that are not those of the first generator "
                    f"({len(rows)}); delete the folder and run the workflow again"
                )
            synthetic[method] = np.load(Path(folder) / "hu.npy", mmap_mode="r", allow_pickle=False)
        return cls(store, rows, synthetic)

    def patients(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each patient with the positions of its slices in :attr:`rows`."""
        patients = self.store.index["patient"].to_numpy()[self.rows]
        for patient in dict.fromkeys(patients):
            yield patient, np.flatnonzero(patients == patient)
