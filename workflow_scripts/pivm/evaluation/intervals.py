"""Confidence intervals of means over patients.

The interval is Student's t of the sample mean, laid on a scale on which that mean is closer to normal: the mean is
transformed, not the values, so that it is still the mean that the interval holds for. Distances take ``log``, scores
between 0 and 1 ``logit``, differences ``identity``. In simulation it covers 93 to 96 % at 5, 12 and 40 patients where
the scores are skewed by 1.8 or less; for heavier tails no interval covers 95 % of five patients at a usable width, and
this one covers about 91 % at a skewness of 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import expit, logit, stdtrit

Scale = Literal["identity", "log", "logit", "fisher"]


class _ScaleFunctions(NamedTuple):
    forward: Callable[[float], float]
    slope: Callable[[float], float]
    inverse: Callable[[float], float]
    variance_unit: Callable[[float], float]
    low: float
    high: float


_SCALES: dict[Scale, _ScaleFunctions] = {
    "identity": _ScaleFunctions(float, lambda mean: 1.0, float, lambda mean: 1.0, -math.inf, math.inf),
    "log": _ScaleFunctions(np.log, lambda mean: 1 / mean, np.exp, lambda mean: mean**2, 0.0, math.inf),
    "logit": _ScaleFunctions(
        logit, lambda mean: 1 / (mean * (1 - mean)), expit, lambda mean: (mean * (1 - mean)) ** 1.5, 0.0, 1.0
    ),
    "fisher": _ScaleFunctions(np.arctanh, lambda mean: 1 / (1 - mean**2), np.tanh, lambda mean: 1.0, -1.0, 1.0),
}


def largest_difference(scale: Scale) -> float:
    """Of two values on a scale: 1 for scores between 0 and 1, infinite for distances.

    >>> largest_difference("logit"), largest_difference("log")
    (1.0, inf)
    """
    return _SCALES[scale].high - _SCALES[scale].low


def variance_unit(scale: Scale, mean: float) -> float:
    """What the variance of a mean over trainings goes with, from one column of a table to another.

    Trainings that miss one organ in a thousand cannot differ by as much as those that miss one in ten, nor surfaces
    that lie 10 mm apart by as many mm as those that lie 200 mm apart. For scores between 0 and 1 it is
    ``(mean * (1 - mean)) ** 1.5``, between the chance of what is counted (power 1) and effects in proportion to the
    rate (power 2); in simulation rates of 0.05 to 6 % side by side are covered by 93 to 99 %, with powers 0, 1 and 2 by
    74, 82 and 96 % or more, the last at up to three times the width. For distances it is ``mean ** 2``, effects in
    proportion, as their scale has it: trainings of segmenters differed with powers of 2 to 3 over organs of 2 to
    260 mm. On other scales it is 1.

    >>> variance_unit("logit", 0.5), variance_unit("log", 40.0), variance_unit("identity", 40.0)
    (0.125, 1600.0, 1.0)
    """
    return _SCALES[scale].variance_unit(mean)


def highest_rate_unseen(patients: int, level: float) -> float:
    """Upper end of a rate of which no event was seen in any patient; that of every event is its mirror image.

    Args:
        patients: with at least one trial.
        level: confidence.
    """
    return 1 - (1 - level) ** (1 / patients)


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
