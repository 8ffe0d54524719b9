"""From scores per case to table cells: mean over classes, then patients, with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from scipy import stats

from pivm.evaluation.all_metrics import METRICS

#: columns of every tidy table
TIDY = ["metric", "unit", "better", "method", "mean", "sd", "ci_low", "ci_high", "patients", "seeds"]
DIFFERENCES = ["metric", "method", "reference", "difference", "ci_low", "ci_high", "patients"]
Patient = TypeVar("Patient")


@dataclass(frozen=True)
class Bootstrap:
    """How the interval of a mean over patients is found.

    Attributes:
        confidence: that the interval holds the mean.
        resamples: draws of patients.
        seed: of the draws.
    """

    confidence: float
    resamples: int
    seed: int


class Interval(NamedTuple):
    """Ends of an interval; None where there are too few patients for one."""

    low: float | None
    high: float | None


class Summary(NamedTuple):
    """A table and what stands beside it.

    Attributes:
        tidy: columns :data:`TIDY`.
        differences: columns :data:`DIFFERENCES`.
    """

    tidy: pd.DataFrame
    differences: pd.DataFrame


def interval(values: np.ndarray, bootstrap: Bootstrap) -> Interval:
    """Bootstrap percentile interval of the mean.

    Args:
        values: one per patient; there is no interval for fewer than two.
        bootstrap: how it is found.
    """
    if len(values) < 2:
        return Interval(None, None)
    if np.ptp(values) == 0:
        return Interval(float(values[0]), float(values[0]))
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=bootstrap.resamples,
        confidence_level=bootstrap.confidence,
        method="percentile",
        rng=np.random.default_rng(bootstrap.seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def jackknife_interval(value: float, without_each: Sequence[float], confidence: float) -> Interval:
    """Interval of a statistic of all patients together: the jackknife over patients with Student's t.

    Slices of one patient are not independent, and a bootstrap would put copies of one slice on both sides of a kernel.

    Args:
        value: the statistic of all patients.
        without_each: the same with each patient left out in turn; fewer than two make no interval.
        confidence: of the interval.
    """
    n = len(without_each)
    if n < 2:
        return Interval(None, None)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * np.sqrt((n - 1) * np.var(without_each)))
    return Interval(value - half, value + half)


def per_patient(cases: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Mean over classes, then over seeds: one row per method and patient."""
    by_seed = cases.groupby(["method", "patient", "seed"], sort=False)[metrics].mean()
    return by_seed.groupby(["method", "patient"], sort=False).mean().reset_index()


def summarise(cases: pd.DataFrame, metrics: Sequence[str], methods: Sequence[str], bootstrap: Bootstrap) -> Summary:
    """The tidy table, and the differences of every method to the first one.

    Args:
        cases: columns ``method, seed, patient`` and one per metric.
        metrics: keys of :data:`pivm.evaluation.all_metrics.METRICS`.
        methods: in the order of the table.
        bootstrap: of the intervals.
    """
    patients = per_patient(cases, list(metrics))
    seeds = cases.groupby("method")["seed"].nunique()
    return Summary(
        _tidy(patients, metrics, methods, bootstrap, seeds), _differences(patients, metrics, methods, bootstrap)
    )


def _tidy(
    patients: pd.DataFrame, metrics: Sequence[str], methods: Sequence[str], bootstrap: Bootstrap, seeds: pd.Series
) -> pd.DataFrame:
    """``sd`` over patients; ``sd`` and interval are empty for a single patient."""
    rows = []
    for metric in metrics:
        unit, better = METRICS[metric].unit, METRICS[metric].better
        for method in methods:
            # a region that a patient lacks has no score; patients says how many have one
            values = patients.loc[patients["method"] == method, metric].dropna().to_numpy()
            ends = interval(values, bootstrap)
            sd = float(values.std(ddof=1)) if len(values) > 1 else None
            rows.append((metric, unit, better, method, float(values.mean()), sd, *ends, len(values), seeds[method]))
    return pd.DataFrame(rows, columns=TIDY)


def _differences(
    patients: pd.DataFrame, metrics: Sequence[str], methods: Sequence[str], bootstrap: Bootstrap
) -> pd.DataFrame:
    """Paired over the same patients, who differ more than methods do: the interval to judge by."""
    wide = patients.pivot(index="patient", columns="method")
    rows = []
    for metric in metrics:
        for method in methods[1:]:
            values = (wide[metric, method] - wide[metric, methods[0]]).dropna().to_numpy()
            rows.append((metric, method, methods[0], float(values.mean()), *interval(values, bootstrap), len(values)))
    return pd.DataFrame(rows, columns=DIFFERENCES)
