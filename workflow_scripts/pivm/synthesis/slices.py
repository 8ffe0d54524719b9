"""Labels of training patients to synthetic slices with provenance (paper, section 3.4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.errors import CohortError
from pivm.learning.device import memory_hint
from pivm.seeds import derived_seed


def choose_sources(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Store rows whose label maps are synthesised: every row once before any row comes again.

    Args:
        rows: candidate rows.
        count: how many synthetic slices are wanted.
    """
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
    subjects = store.index["subject"].to_numpy()[rows]
    names, counts = np.unique(subjects, return_counts=True)
    names = names[counts > 1]
    if not len(names):
        raise CohortError(f"image fidelity: no {split} patient has two slices; raise selection.slices_per_scan")
    chosen = names[np.linspace(0, len(names) - 1, min(patients, len(names))).round().astype(int)]
    return rows[np.isin(subjects, chosen)]


def synthesise_slices(
    generator, store: SliceStore, prior: Prior, sources: np.ndarray, batch: int, seed: int, model: str, folder: Path
) -> None:
    """Write ``hu.npy`` int16, ``labels.npy`` uint8 [N, H, W] and ``index.csv`` with the provenance of each slice.

    Args:
        sources: store row of each slice's label map.
        model: hash of the generator's weights.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(sources), store.size, store.size)
    hu = np.lib.format.open_memmap(folder / "hu.npy", "w+", np.int16, shape)
    labels = np.lib.format.open_memmap(folder / "labels.npy", "w+", np.uint8, shape)
    seeds = [derived_seed(seed, "slice", i) for i in range(len(sources))]
    hint = memory_hint(*generator.memory_setting("synthesis.batch", batch))
    with hint, tqdm(total=len(sources), desc="slices", disable=None) as bar:
        for positions, made, used in generator.generate_sources(store, prior, sources, seeds, batch):
            hu[positions], labels[positions] = made, store.labels[sources[positions]]
            for position, own in zip(positions, used, strict=True):
                seeds[position] = own
            bar.update(len(positions))
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
            "model": model,
        }
    ).to_csv(folder / "index.csv", index=False)
