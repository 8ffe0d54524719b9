"""Every method against every other over the same patients, with Holm's correction (Holm 1979)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pivm.evaluation.crossed import (
    SOURCES,
    CrossedMean,
    CrossedScores,
    crossed_mean,
    p_value,
    pool_seed_squares,
    variance_units,
)
from pivm.evaluation.intervals import Scale, highest_rate_unseen, largest_difference


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two methods.

    Attributes:
        method: the difference is that of ``method`` minus ``reference``.
        reference: the other method.
        difference: mean with its interval, at the level of one pair alone.
        p: of the paired t-test by the same standard error; None for one patient.
        p_holm: corrected for all pairs of the comparison; None likewise.
    """

    method: str
    reference: str
    difference: CrossedMean
    p: float | None
    p_holm: float | None


def compare_pairs(
    scores: Mapping[str, CrossedScores], level: float, scale: Scale = "identity"
) -> list[PairedDifference]:
    """Compare every method with every other.

    Two methods are differenced seed by seed, over the seeds that both have: where they share a seed's chance, it
    cancels, and where they do not, both are in the variance. A method that is no draw of a source (real slices have no
    generator seed) is set against every seed of the other. What trainings differ by is learnt from all pairs together.

    Args:
        scores: by method, over the same patients in the same order.
        level: of the intervals.
        scale: of the scores. An interval ends where no difference of two such scores can lie beyond, which takes
            nothing from its coverage and says the same of 0.

    Returns:
        One row per pair, in the order of ``scores``: the later method against the earlier one.

    Raises:
        ValueError: two methods have other patients, or no seed in common.
    """
    values = {
        (method, reference): _difference(scores[method], scores[reference], f"{method} - {reference}")
        for reference, method in itertools.combinations(scores, 2)
    }
    units = variance_units(scores, scale)
    seed_squares, most = pool_seed_squares(values, units), largest_difference(scale)

    def difference(method: str, reference: str) -> CrossedMean:
        found = crossed_mean(values[method, reference], level, "identity", seed_squares[method, reference])
        if found.low is None or found.high is None:
            return found
        # of what never or always occurs with either, there is no spread to go by
        widest = highest_rate_unseen(found.patients, level) if units[method] == units[reference] == 0 else 0.0
        return replace(found, low=max(found.low - widest, -most), high=min(found.high + widest, most))

    return compare(list(scores), difference)


def compare(methods: Sequence[str], difference: Callable[[str, str], CrossedMean]) -> list[PairedDifference]:
    """Every method against every other.

    Args:
        methods: in the order of the table.
        difference: of a method and its reference.

    Returns:
        One row per pair: the later method against the earlier one.
    """
    found = []
    for reference, method in itertools.combinations(methods, 2):
        mean = difference(method, reference)
        found.append((method, reference, mean, p_value(mean)))
    known = [p for *_, p in found if p is not None]
    corrected = iter(holm(known))
    return [
        PairedDifference(method, reference, mean, p, None if p is None else float(next(corrected)))
        for method, reference, mean, p in found
    ]


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down p: controls the chance of any false claim, whatever the dependence between the tests.

    Args:
        p_values: one per test.

    Returns:
        float64, in the order of ``p_values``; a claim holds at a level where its p is at most ``1 - level``.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _difference(method: CrossedScores, reference: CrossedScores, name: str) -> CrossedScores:
    """Scores of the first less those of the second, over the sources of either."""
    if len(method.values) != len(reference.values):
        raise ValueError(f"{name}: {len(method.values)} and {len(reference.values)} patients, expected the same")
    for source in SOURCES[1:]:
        if source in method.sources and source in reference.sources:
            shared = [seed for seed in method.seeds_of(source) if seed in reference.seeds_of(source)]
            if not shared:
                raise ValueError(f"{name}: no {source} in common")
            method, reference = method.restricted(source, shared), reference.restricted(source, shared)
    sources = tuple(source for source in SOURCES if source in method.sources or source in reference.sources)
    return CrossedScores(method.values - reference.values, sources)
