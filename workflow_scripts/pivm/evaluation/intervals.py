"""Confidence intervals of means, rates and pooled statistics over patients.

The interval is Student's t of the sample mean, laid on a scale on which that mean is closer to normal: the mean is
transformed, not the values, so that it is still the mean that the interval holds for. Distances take ``log``, scores
between 0 and 1 ``logit``, differences ``identity``. In simulation it covers 93 to 96 % at 5, 12 and 40 patients where
the scores are skewed by 1.8 or less; for heavier tails no interval covers 95 % of five patients at a usable width, and
this one covers about 91 % at a skewness of 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import expit, logit, stdtrit

Scale = Literal["identity", "log", "logit", "fisher"]


class _ScaleFunctions(NamedTuple):
    forward: Callable[[float], float]
    slope: Callable[[float], float]
    inverse: Callable[[float], float]
    low: float
    high: float


_SCALES: dict[Scale, _ScaleFunctions] = {
    "identity": _ScaleFunctions(float, lambda mean: 1.0, float, -math.inf, math.inf),
    "log": _ScaleFunctions(np.log, lambda mean: 1 / mean, np.exp, 0.0, math.inf),
    "logit": _ScaleFunctions(logit, lambda mean: 1 / (mean * (1 - mean)), expit, 0.0, 1.0),
    "fisher": _ScaleFunctions(np.arctanh, lambda mean: 1 / (1 - mean**2), np.tanh, -1.0, 1.0),
}


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        estimate: mean, rate or statistic.
        low: lower end; None where one patient gives no interval.
        high: upper end; None likewise.
        sd: standard deviation over patients; None for one patient, and where it has no meaning (rates, jackknife).
        patients: number of patients.
    """

    estimate: float
    low: float | None
    high: float | None
    sd: float | None
    patients: int


def interval_of_mean(values: Sequence[float], level: float, scale: Scale) -> Interval:
    """Interval of the mean of one score per patient.

    Args:
        values: one finite score per patient.
        level: confidence, for example 0.95.
        scale: ``log`` for values of 0 and more, ``logit`` for values in [0, 1], ``fisher`` for values in [-1, 1],
            ``identity`` for differences.

    Raises:
        ValueError: no value, a value that is not finite, or one outside the range of the scale.
    """
    scores = checked_scores(values, scale)
    mean = float(scores.mean())
    if len(scores) == 1:
        return Interval(mean, None, None, None, 1)
    sd = float(scores.std(ddof=1))
    low, high = interval_on_scale(mean, sd / math.sqrt(len(scores)), len(scores) - 1, level, scale)
    return Interval(mean, low, high, sd, len(scores))


def interval_of_rate(events: Sequence[int], trials: Sequence[int], level: float) -> Interval:
    """Interval of a rate whose trials come in patients: the trials of one patient are not independent.

    The rate is that of all trials together; its variance is that of a ratio over patients, and where all patients have
    the same rate, that of independent trials. Where no trial or every trial is an event, there is no variance to go by;
    the interval then ends at the largest share of patients with an event that leaves a chance of ``1 - level`` to see
    none, which no dependence within patients can break.

    Args:
        events: per patient, for example classes missed.
        trials: per patient, for example classes that the truth holds; patients without a trial are left out.
        level: confidence.

    Returns:
        ``patients`` counts those with a trial.

    Raises:
        ValueError: no trial at all, or fewer trials than events.
    """
    e, t = np.asarray(events, dtype=float), np.asarray(trials, dtype=float)
    if e.shape != t.shape or (e > t).any() or (e < 0).any() or not t.sum() > 0:
        raise ValueError(f"events {events} of trials {trials}: expected 0 <= events <= trials per patient, and a trial")
    e, t = e[t > 0], t[t > 0]
    n, rate = len(t), float(e.sum() / t.sum())
    if rate in (0.0, 1.0):
        low, high = interval_of_none(n, level)
        return Interval(rate, *((low, high) if rate == 0 else (1 - high, 1.0)), None, n)
    if n == 1:
        return Interval(rate, None, None, None, 1)
    variance = n / (n - 1) * float(((e - rate * t) ** 2).sum()) / t.sum() ** 2
    # patients of just the same rate show no spread, but their trials are still a sample
    variance = variance if variance > 1e-12 else rate * (1 - rate) / t.sum()
    low, high = interval_on_scale(rate, math.sqrt(variance), n - 1, level, "logit")
    return Interval(rate, low, high, None, n)


def interval_of_none(patients: int, level: float) -> tuple[float, float]:
    """Interval of a rate of which no event was seen in any patient; that of every event is its mirror image.

    Args:
        patients: with at least one trial.
        level: confidence.
    """
    return 0.0, 1 - (1 - level) ** (1 / patients)


def jackknife_interval(
    statistic: Callable[[np.ndarray], float], patients: int, level: float, scale: Scale = "identity"
) -> Interval:
    """Interval of a statistic that is pooled over patients, by leaving out one patient after the other.

    For smooth statistics (means, ratios, Fréchet distances, KID); a maximum or a quantile is none.

    Args:
        statistic: takes int64 [N], the patients that count (``0..patients - 1``), and returns the pooled value.
        patients: number of patients, at least 1.
        level: confidence.
        scale: as in :func:`interval_of_mean`.

    Raises:
        ValueError: a value is not finite, or outside the range of the scale.
    """
    everyone = np.arange(patients)
    (estimate,) = checked_scores([statistic(everyone)], scale)
    if patients == 1:
        return Interval(float(estimate), None, None, None, 1)
    without = checked_scores([statistic(np.delete(everyone, i)) for i in everyone], "identity")
    standard_error = math.sqrt((patients - 1) / patients * float(((without - without.mean()) ** 2).sum()))
    low, high = interval_on_scale(float(estimate), standard_error, patients - 1, level, scale)
    return Interval(float(estimate), low, high, None, patients)


def interval_on_scale(
    estimate: float, standard_error: float, degrees_of_freedom: float, level: float, scale: Scale
) -> tuple[float, float]:
    """Student's t interval of an estimate on a scale (delta method).

    Args:
        estimate: within the range of the scale.
        standard_error: on the scale of the estimate; 0 gives an interval without width.
        degrees_of_freedom: of the standard error.
        level: confidence.
        scale: on which the interval is symmetric.

    Returns:
        Lower and upper end on the scale of the estimate.
    """
    if standard_error == 0:
        return estimate, estimate
    functions = _SCALES[scale]
    # scores with spread have their mean inside the range, but rounding may carry it to the end
    inside = min(max(estimate, functions.low + 1e-12), functions.high - 1e-12)
    middle = functions.forward(inside)
    half = stdtrit(degrees_of_freedom, (1 + level) / 2) * standard_error * functions.slope(inside)
    with np.errstate(over="ignore"):
        return float(functions.inverse(middle - half)), float(functions.inverse(middle + half))


def checked_scores(values: Sequence[float] | np.ndarray, scale: Scale) -> np.ndarray:
    """The values as float64, all finite and within the closed range of the scale.

    Raises:
        ValueError: otherwise, or where there is no value.
    """
    scores, functions = np.asarray(values, dtype=np.float64), _SCALES[scale]
    if scores.size == 0:
        raise ValueError("no score, hence no mean: count the patients before asking for their interval")
    if not np.isfinite(scores).all() or scores.min() < functions.low or scores.max() > functions.high:
        raise ValueError(
            f"scores from {scores.min()} to {scores.max()}: scale {scale!r} takes finite values in "
            f"[{functions.low}, {functions.high}]"
        )
    return scores
