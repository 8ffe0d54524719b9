"""Label maps to synthetic slices with provenance (paper, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pivm.cohort.store import SliceStore, new_array
from pivm.errors import CohortError
from pivm.generators.protocol import Generator
from pivm.learning.device import memory_hint
from pivm.seeds import derived_seed
from pivm.synthesis.label_sources import Chosen, no_label_maps


def choose_sources(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Store rows whose label maps are synthesised: every row once before any row comes again.

    Args:
        rows: candidate rows.
        count: how many synthetic slices are wanted.
        seed: of the order.

    Raises:
        CohortError: there are no rows, which label maps without CT alone may have none of.
    """
    if not len(rows):
        raise no_label_maps()
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(rounds)[:count]


def rows_of_patients(store: SliceStore, split: str, patients: int) -> np.ndarray:
    """Store rows of all target slices of ``patients`` patients, evenly chosen from the sorted names of a split.

    A patient of one slice is passed over: it has no spread that a Fréchet distance could compare.

    Raises:
        CohortError: no patient has two slices.
    """
    rows = store.rows(split)
    patients_of_rows = store.index["patient"].to_numpy()[rows]
    names, counts = np.unique(patients_of_rows, return_counts=True)
    names = names[counts > 1]
    if not len(names):
        raise CohortError(f"image fidelity: no {split} patient has two slices; raise selection.slices_per_scan")
    chosen = names[np.linspace(0, len(names) - 1, min(patients, len(names))).round().astype(int)]
    return rows[np.isin(patients_of_rows, chosen)]


def patient_seeds(one: Chosen, seed: int) -> list[int]:
    """Seeds of the synthetic patients that slices are of: a source, virtual patient or not, is one patient.

    A label map that comes again is of another patient.

    Args:
        one: the label maps.
        seed: of all slices.
    """
    subjects = one.store.index["subject"].to_numpy()[one.rows]
    again = pd.Series(one.rows).groupby(one.rows).cumcount()
    return [derived_seed(seed, "patient", one.source, *which) for which in zip(subjects, again, strict=True)]


def synthesise_slices(
    generator: Generator, chosen: Sequence[Chosen], batch: int, seed: int, provenance: dict[str, str], folder: Path
) -> None:
    """Write ``hu.npy`` int16, ``labels.npy`` uint8 [N, H, W] and ``index.csv`` with the provenance of each slice.

    Args:
        generator: a trained one.
        chosen: the label maps, source by source.
        batch: slices at once.
        seed: of all slices, each of which gets its own.
        provenance: more columns of ``index.csv``, the same for every slice: ``model``, hash of the generator's weights,
            and ``code``, hash of the code that samples.
        folder: receives the files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    starts = np.cumsum([0, *(len(one.rows) for one in chosen)])
    shape = (int(starts[-1]), chosen[0].store.size, chosen[0].store.size)
    hu = new_array(folder / "hu.npy", np.int16, shape)
    labels = new_array(folder / "labels.npy", np.uint8, shape)
    seeds = [derived_seed(seed, "slice", i) for i in range(len(hu))]
    of_patients = [one_seed for one in chosen for one_seed in patient_seeds(one, seed)]
    hint = memory_hint(*generator.memory_setting("synthesis.batch", batch))
    with hint, tqdm(total=len(hu), desc="slices", disable=None) as bar:
        for one, start in zip(chosen, starts, strict=False):
            some = slice(start, start + len(one.rows))
            for part in generator.generate_sources(one.store, one.rows, seeds[some], batch, of_patients[some]):
                places = start + np.asarray(part.positions)
                hu[places], labels[places] = part.hu, one.store.labels[one.rows[part.positions]]
                for place, slice_seed in zip(places, part.seeds, strict=True):
                    seeds[place] = slice_seed
                bar.update(len(places))
    hu.flush()
    labels.flush()
    index = pd.concat([one.provenance() for one in chosen], ignore_index=True)
    index.insert(0, "row", range(len(index)))
    index.assign(seed=seeds, patient_seed=of_patients, **provenance).to_csv(folder / "index.csv", index=False)
