"""How near slices come to real ones in the space of the variation: the search for copies of training patients.

Two images of one label map are alike by their prior, so HU less the prior map are compared, in units of each label's
spread and inside the patient's outline. The distance is 1 less the cosine, which asks for a common pattern. A Euclidean
distance would call smooth images near to everything: the prior map itself, whose variation is zero, nearest of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.prior import Prior
from pivm.cohort.split import LABELS_ONLY, split_table
from pivm.cohort.store import LabelStore, SliceStore
from pivm.errors import CohortError

#: larger slices are averaged down to so many pixels per side: a copy is one at every scale, and noise drowns the finest
SIDE = 64
_CHUNK = 256
#: sources whose label maps the generator saw with their CT: a copy there is told by the slice of that label map itself
SEEN = ("train", "augmented")
#: sets of real slices in a table of distances, which are held against those of training patients
REAL_SETS = {"val": "real_val", "test": "real_test"}
#: columns of a table of distances
DISTANCES = ["set", "patient", "nearest", "nearest_patient", "own"]


class Nearest(NamedTuple):
    """The nearest of some reference slices, for each of N slices.

    Attributes:
        row: int64 [N], its number among the reference slices.
        distance: float64 [N], 0 (the same pattern) to 2 (its negative).
    """

    row: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class VariationSpace:
    """The space of the variation v = x - I (paper, section 2), in units of each label's spread.

    Attributes:
        prior: organ means and spreads of the training patients.
    """

    prior: Prior

    def vectors(self, hu: np.ndarray, store: LabelStore, rows: np.ndarray) -> np.ndarray:
        """Slices as vectors of length 1.

        Args:
            hu: int16 [N, H, W].
            store: of their label maps and outlines.
            rows: int [N], of the store.

        Returns:
            float32 [N, pixels]; zero where a slice is nothing but its prior map.
        """
        parts = [self._vectors(hu[i : i + _CHUNK], store, rows[i : i + _CHUNK]) for i in range(0, len(hu), _CHUNK)]
        side = min(SIDE, store.size)
        return np.concatenate([np.zeros((0, side * side), np.float32), *parts])

    def real(self, store: SliceStore, rows: np.ndarray) -> np.ndarray:
        """The same of real slices."""
        parts = [self.vectors(store.hu[part], store, part) for part in np.split(rows, range(_CHUNK, len(rows), _CHUNK))]
        return np.concatenate(parts)

    def _vectors(self, hu: np.ndarray, store: LabelStore, rows: np.ndarray) -> np.ndarray:
        import torch  # here, so that the table of the audit does without
        from torch.nn.functional import adaptive_avg_pool2d

        body = store.body[rows]
        label_map = self.prior.label_map(store.labels[rows], body)
        variation = self.prior.variation(hu, label_map) / np.asarray(self.prior.organ_sd, np.float32)[label_map] * body
        side = min(SIDE, store.size)
        small = adaptive_avg_pool2d(torch.from_numpy(variation), side).numpy().reshape(len(hu), -1)
        length = np.linalg.norm(small, axis=1, keepdims=True)
        return np.divide(small, length, out=np.zeros_like(small), where=length > 0)


def nearest(vectors: np.ndarray, reference: np.ndarray) -> Nearest:
    """The nearest of the reference slices.

    Args:
        vectors: float32 [N, pixels], as :meth:`VariationSpace.vectors`.
        reference: float32 [M, pixels], M at least 1.
    """
    found = [_nearest(vectors[i : i + _CHUNK], reference) for i in range(0, len(vectors), _CHUNK)]
    if not found:
        return Nearest(np.zeros(0, np.int64), np.zeros(0))
    return Nearest(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _nearest(vectors: np.ndarray, reference: np.ndarray) -> Nearest:
    cosines = vectors @ reference.T
    row = cosines.argmax(axis=1)
    return Nearest(row, 1.0 - cosines[np.arange(len(row)), row].astype(np.float64))


def require_validation(store: SliceStore) -> None:
    """Raises CohortError where there is no validation patient: nobody says then how near fresh patients come."""
    if not len(store.rows("val")):
        raise CohortError(
            "copies are told by how near validation patients come to training patients, but the split has no "
            "validation patient: set split.val to 1 or more (4 or more tell something)"
        )


class Reference(NamedTuple):
    """The real slices of the training patients.

    Attributes:
        vectors: float32 [M, pixels].
        patients: of each slice.
    """

    vectors: np.ndarray
    patients: np.ndarray

    @classmethod
    def of(cls, space: VariationSpace, store: SliceStore) -> Reference:
        """Of the training patients of a store; raises CohortError as :func:`require_validation`."""
        require_validation(store)
        rows = store.rows("train")
        return cls(space.real(store, rows), store.index["patient"].to_numpy()[rows])


def measure_real(space: VariationSpace, store: SliceStore, reference: Reference) -> pd.DataFrame:
    """Distances of real validation and test slices to those of training patients, columns :data:`DISTANCES`."""
    tables = []
    for part, name in REAL_SETS.items():
        rows = store.rows(part)
        patients = store.index["patient"].to_numpy()[rows]
        tables.append(_table(name, patients, space.real(store, rows), reference, None))
    return pd.concat(tables, ignore_index=True)


def measure(
    space: VariationSpace,
    folder: Path,
    stores: Mapping[str, LabelStore],
    persons: Mapping[str, str],
    reference: Reference,
) -> pd.DataFrame:
    """Distances of synthetic slices, in their order.

    Args:
        space: of the variation.
        folder: of the slices, as :func:`pivm.synthesis.slices.synthesise_slices` wrote it.
        stores: source -> store of its label maps; one with HU gives the real slice of each label map, for ``own``.
        persons: subject -> person.
        reference: the training slices.

    Returns:
        Columns :data:`DISTANCES`, the source as ``set``. ``own`` is the distance to the real slice of the same label
        map (under the same deformation, for a virtual patient); NaN where there is none.
    """
    index = read_patient_csv(folder / "index.csv")
    hu = np.load(folder / "hu.npy", mmap_mode="r", allow_pickle=False)
    tables = []
    for source, part in index.groupby("source", sort=False):
        store, rows = stores[str(source)], part["source_row"].to_numpy()
        vectors = space.vectors(hu[part.index.to_numpy()], store, rows)
        real = space.real(store, rows) if isinstance(store, SliceStore) else None
        patients = part["source_subject"].map(persons).to_numpy()
        tables.append(_table(str(source), patients, vectors, reference, real).set_index(part.index))
    return pd.concat(tables).sort_index()


def _table(
    name: str, patients: np.ndarray, vectors: np.ndarray, reference: Reference, real: np.ndarray | None
) -> pd.DataFrame:
    found = nearest(vectors, reference.vectors)
    own = np.nan if real is None else 1.0 - (vectors * real).sum(axis=1).astype(np.float64)
    columns = (name, patients, found.distance, reference.patients[found.row], own)
    return pd.DataFrame(dict(zip(DISTANCES, columns, strict=True)))


def read_distances(path: Path) -> pd.DataFrame:
    """A table of distances as it was written; an empty ``own`` is NaN."""
    names = dict.fromkeys(("set", "patient", "nearest_patient"), str)
    table = pd.read_csv(path, dtype=names, keep_default_na=False)
    return table.assign(own=pd.to_numeric(table["own"]))


def measure_all(
    store: SliceStore, split_file: Path, prior: Path, folders: Sequence[Path], sources: Mapping[str, Path]
) -> list[pd.DataFrame]:
    """Distances of real slices, and of the synthetic ones of each folder.

    Args:
        store: of the cohort, under this split.
        split_file: the split.
        prior: file of the organ means of the training patients.
        folders: of synthetic slices.
        sources: of label maps other than those of the cohort -> folder of the store.

    Returns:
        One table with columns :data:`DISTANCES` for the real slices, then one for each folder.

    Raises:
        CohortError: as :func:`require_validation`.
    """
    stores: dict[str, LabelStore] = dict.fromkeys(("train", "val", "test"), store)
    stores |= {name: (LabelStore if name == LABELS_ONLY else SliceStore)(path) for name, path in sources.items()}
    split, space = split_table(split_file), VariationSpace(Prior.load(prior))
    persons = dict(zip(split["subject"], split["patient"], strict=True))
    reference = Reference.of(space, store)
    synthetic = [measure(space, folder, stores, persons, reference) for folder in folders]
    return [measure_real(space, store, reference), *synthetic]


class Limits(NamedTuple):
    """Distances below which a slice counts as a copy.

    Attributes:
        fresh: to the nearest training slice: few slices of fresh real patients are as near to any.
        labels: to the real slice of its own label map: few slices of held-out label maps are as near to theirs, so that
            more than what the labels say is shared.
    """

    fresh: float
    labels: float

    @classmethod
    def fit(cls, table: pd.DataFrame, percentile: float) -> Limits:
        """From the validation patients: their real slices, and those made from their label maps.

        Args:
            table: columns :data:`DISTANCES`, with the sets ``real_val`` and ``val``.
            percentile: of their slices that may be as near.
        """
        fresh = table.loc[table["set"] == REAL_SETS["val"], "nearest"]
        labels = table.loc[table["set"] == "val", "own"]
        return cls(float(np.percentile(fresh, percentile)), float(np.percentile(labels, percentile)))

    def copies(self, table: pd.DataFrame) -> np.ndarray:
        """Which slices are copies, bool [N].

        A slice of a label map that was seen with its CT (:data:`SEEN`) shares with its real slice what the label map
        says of both, whether it was memorised or not; it is held against ``labels``. All others are held against
        ``fresh``.
        """
        seen = table["set"].isin(SEEN)
        return np.where(seen, table["own"] < self.labels, table["nearest"] < self.fresh)
