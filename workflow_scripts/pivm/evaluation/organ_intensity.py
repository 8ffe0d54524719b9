"""HU fidelity per organ: mean, spread and histogram distance of synthetic against real slices."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pivm.cohort.store import SliceStore
from pivm.evaluation.crossed import crossed_mean
from pivm.evaluation.crossing import cross_scores
from pivm.evaluation.paired import PairedSlices
from pivm.labels import LabelSet

#: columns of ``tables/hu_fidelity.csv``
HU_FIDELITY = [
    *("organ", "method", "patients", "pixels", "real_mean", "real_sd", "train_mean", "mean", "sd"),
    *("wasserstein", "difference", "ci_low", "ci_high", "generator_seeds"),
]


def compare_organ_intensity(pairs: PairedSlices, label_set: LabelSet, level: float) -> pd.DataFrame:
    """Compare the HU inside each organ's label.

    Args:
        pairs: real and synthetic slices of held-out patients.
        label_set: of the run.
        level: of the intervals.

    Returns:
        Columns :data:`HU_FIDELITY`, one row per organ that occurs and method. ``mean``, ``sd`` and their real
        counterparts are HU over the pixels of all patients and trainings; ``wasserstein`` is the first Wasserstein
        distance of the two histograms in HU: how far the average pixel would have to change for the two to agree.
        ``train_mean`` is the mean HU of the training patients' real slices, NaN where none shows the organ: a generator
        that is true to the patients it learnt from is as far from ``real_mean`` as they are.
        ``difference`` is the mean over patients of synthetic less real organ mean, with its interval.
    """
    labels = np.asarray(pairs.store.labels[pairs.rows])
    real_hu = np.asarray(pairs.store.hu[pairs.rows])
    persons = pairs.store.index["patient"].to_numpy()[pairs.rows]
    synthetic_hu = {run: np.asarray(hu) for run, hu in pairs.synthetic.items()}
    train_means = _train_means(pairs.store, len(label_set))
    rows = []
    for k, organ in enumerate(label_set.names, start=1):
        inside = labels == k
        if not inside.any():
            continue
        patients = np.broadcast_to(persons[:, None, None], inside.shape)[inside]
        real = real_hu[inside].astype(float)
        for method in dict.fromkeys(run.method for run in synthetic_hu):
            by_seed = {run.seed: hu[inside].astype(float) for run, hu in synthetic_hu.items() if run.method == method}
            synthetic = np.concatenate(list(by_seed.values()))
            distance = float(stats.wasserstein_distance(real, synthetic))
            pixels = (real.size, real.mean(), real.std(), train_means[k], synthetic.mean(), synthetic.std(), distance)
            rows.append((organ, method, len(set(patients)), *pixels, *_difference(patients, real, by_seed, level)))
    return pd.DataFrame(rows, columns=HU_FIDELITY)


def _train_means(store: SliceStore, organs: int) -> np.ndarray:
    """Mean HU by label id over the pixels of the training patients' slices."""
    pixels, total = np.zeros(organs + 1), np.zeros(organs + 1)
    for row in store.rows("train"):
        ids = store.labels[row].ravel()
        pixels += np.bincount(ids, minlength=organs + 1)
        total += np.bincount(ids, store.hu[row].ravel(), organs + 1)
    return np.divide(total, pixels, out=np.full(organs + 1, np.nan), where=pixels > 0)


def _difference(
    patients: np.ndarray, real: np.ndarray, by_seed: dict[int, np.ndarray], level: float
) -> tuple[float, float | None, float | None, int]:
    """Mean over patients of synthetic less real organ mean, the ends of its interval, and the number of trainings."""
    frames = [
        pd.DataFrame({"patient": patients, "hu": synthetic - real})
        .groupby("patient", as_index=False, sort=False)["hu"]
        .mean()
        .assign(method="", generator_seed=seed)
        for seed, synthetic in by_seed.items()
    ]
    mean = crossed_mean(cross_scores(pd.concat(frames), "hu").scores[""], level, "identity")
    return mean.mean, mean.low, mean.high, mean.generator_seeds
