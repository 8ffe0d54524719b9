"""HU fidelity per organ: mean, spread and histogram distance of synthetic against real slices."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pivm.evaluation.paired import PairedSlices
from pivm.labels import LabelSet

#: columns of ``tables/hu_fidelity.csv``
HU_FIDELITY = ["organ", "method", "patients", "pixels", "real_mean", "real_sd", "mean", "sd", "wasserstein"]


def compare_organ_intensity(pairs: PairedSlices, label_set: LabelSet) -> pd.DataFrame:
    """Compare the HU inside each organ's label, pooled over patients and slices.

    Args:
        pairs: real and synthetic slices of test patients.
        label_set: of the run.

    Returns:
        Columns :data:`HU_FIDELITY`, one row per organ that occurs and method. ``mean``, ``sd`` and their real
        counterparts are HU over pixels; ``wasserstein`` is the first Wasserstein distance of the two histograms in HU:
        how far the average pixel would have to change for the histograms to agree.
    """
    labels = np.asarray(pairs.store.labels[pairs.rows])
    real_hu = np.asarray(pairs.store.hu[pairs.rows])
    subjects = pairs.store.index["subject"].to_numpy()[pairs.rows]
    synthetic_hu = {method: np.asarray(hu) for method, hu in pairs.synthetic.items()}
    rows = []
    for k, organ in enumerate(label_set.names, start=1):
        inside = labels == k
        if not inside.any():
            continue
        x = real_hu[inside].astype(float)
        patients = len(set(subjects[inside.any(axis=(1, 2))]))
        for method, hu in synthetic_hu.items():
            y = hu[inside].astype(float)
            distance = float(stats.wasserstein_distance(x, y))
            rows.append((organ, method, patients, x.size, x.mean(), x.std(), y.mean(), y.std(), distance))
    return pd.DataFrame(rows, columns=HU_FIDELITY)
