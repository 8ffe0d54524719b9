"""Labels of training patients to synthetic slices with provenance (paper, section 3.4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pivm.cohort.store import SliceStore, new_array
from pivm.errors import CohortError
from pivm.generators.protocol import Generator
from pivm.learning.device import memory_hint
from pivm.seeds import derived_seed


def choose_sources(rows: np.ndarray, count: int | str, seed: int) -> np.ndarray:
    """Store rows whose label maps are synthesised: every row once before any row comes again.

    Args:
        rows: candidate rows.
        count: how many synthetic slices are wanted; ``as_real`` for as many as there are rows.
        seed: of the order.
    """
    count = len(rows) if count == "as_real" else int(count)
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


def synthesise_slices(
    generator: Generator,
    store: SliceStore,
    sources: np.ndarray,
    batch: int,
    seed: int,
    provenance: dict[str, str],
    folder: Path,
) -> None:
    """Write ``hu.npy`` int16, ``labels.npy`` uint8 [N, H, W] and ``index.csv`` with the provenance of each slice.

    Args:
        generator: a trained one.
        store: the slice store.
        sources: store row of each slice's label map.
        batch: slices at once.
        seed: of all slices, each of which gets its own.
        provenance: more columns of ``index.csv``, the same for every slice: ``model``, hash of the generator's weights,
            and ``code``, hash of the code that samples.
        folder: receives the files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(sources), store.size, store.size)
    hu = new_array(folder / "hu.npy", np.int16, shape)
    labels = new_array(folder / "labels.npy", np.uint8, shape)
    seeds = [derived_seed(seed, "slice", i) for i in range(len(sources))]
    hint = memory_hint(*generator.memory_setting("synthesis.batch", batch))
    with hint, tqdm(total=len(sources), desc="slices", disable=None) as bar:
        for part in generator.generate_sources(store, sources, seeds, batch):
            hu[part.positions], labels[part.positions] = part.hu, store.labels[sources[part.positions]]
            for position, slice_seed in zip(part.positions, part.seeds, strict=True):
                seeds[position] = slice_seed
            bar.update(len(part.positions))
    hu.flush()
    labels.flush()
    source = store.index.iloc[sources]
    pd.DataFrame(
        {
            "row": range(len(sources)),
            "source_subject": source["subject"].to_numpy(),
            "source_row": sources,
            "source_z": source["z"].to_numpy(),
            "seed": seeds,
            **provenance,
        }
    ).to_csv(folder / "index.csv", index=False)
