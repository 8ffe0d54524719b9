"""From scores per case to table cells: mean over classes, then patients, with intervals over patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pivm.evaluation.metrics import METRICS

#: columns of every tidy table
TIDY = ["metric", "unit", "better", "method", "mean", "sd", "ci_low", "ci_high", "patients", "seeds"]


def interval(values: np.ndarray, level: float, resamples: int, seed: int) -> tuple[float | None, float | None]:
    """Bootstrap percentile interval of the mean; ``(None, None)`` for fewer than two values."""
    if len(values) < 2:
        return None, None
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    result = stats.bootstrap(
        (values,), np.mean, n_resamples=resamples, confidence_level=level, method="percentile",
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def jackknife_interval(
    value: float, without_each: list[float], level: float
) -> tuple[float, float] | tuple[None, None]:
    """Interval of the jackknife over patients with Student's t; ``(None, None)`` for fewer than two patients.

    For scores of all patients' slices pooled: slices of one patient are not independent, and a bootstrap would put
    copies of one slice on both sides of a kernel.

    Args:
        value: the score over all patients.
        without_each: the score with each patient left out in turn.
        level: of the interval.
    """
    n = len(without_each)
    if n < 2:
        return None, None
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * np.sqrt((n - 1) * np.var(without_each)))
    return value - half, value + half


def per_patient(cases: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Mean over classes, then over seeds: one row per method and patient."""
    by_seed = cases.groupby(["method", "patient", "seed"], sort=False)[metrics].mean()
    return by_seed.groupby(["method", "patient"], sort=False).mean().reset_index()


def summarise(
    cases: pd.DataFrame, metrics: list[str], methods: list[str], level: float, resamples: int, seed: int
) -> pd.DataFrame:
    """The tidy table.

    Args:
        cases: columns ``method, seed, patient`` and one per metric; level, resamples, seed: of the bootstrap.

    Returns:
        Columns :data:`TIDY`; ``sd`` over patients; ``sd`` and interval are empty for a single patient.
    """
    patients = per_patient(cases, metrics)
    rows = []
    for metric in metrics:
        unit, better = METRICS[metric]
        for method in methods:
            # a region that a patient lacks has no score; patients says how many have one
            values = patients.loc[patients["method"] == method, metric].dropna().to_numpy()
            low, high = interval(values, level, resamples, seed)
            sd = float(values.std(ddof=1)) if len(values) > 1 else None
            seeds = cases.loc[cases["method"] == method, "seed"].nunique()
            rows.append((metric, unit, better, method, float(values.mean()), sd, low, high, len(values), seeds))
    return pd.DataFrame(rows, columns=TIDY)


def differences(
    cases: pd.DataFrame, metrics: list[str], methods: list[str], level: float, resamples: int, seed: int
) -> pd.DataFrame:
    """Paired differences of every method to the first one over the same patients, with bootstrap intervals.

    Patients differ more than methods do, so the interval of a paired difference is the one to judge by.

    Returns:
        Columns ``metric, method, reference, difference, ci_low, ci_high, patients``.
    """
    wide = per_patient(cases, metrics).pivot(index="patient", columns="method")
    rows = []
    for metric in metrics:
        for method in methods[1:]:
            values = (wide[metric, method] - wide[metric, methods[0]]).dropna().to_numpy()
            low, high = interval(values, level, resamples, seed)
            rows.append((metric, method, methods[0], float(values.mean()), low, high, len(values)))
    columns = ["metric", "method", "reference", "difference", "ci_low", "ci_high", "patients"]
    return pd.DataFrame(rows, columns=columns)
