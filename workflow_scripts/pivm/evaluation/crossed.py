"""Scores crossed over patients, generator seeds and segmenter seeds: variance split, and an interval for new ones.

The model is balanced and crossed: a score is the mean plus effects of patient, generator seed and segmenter seed, of
their pairs, and a rest. Mean squares give each variance (moments) and the variance of the mean; the degrees of freedom
are Satterthwaite's (1946) over the mean squares of the three sources.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtr

from pivm.evaluation.intervals import Scale, checked_scores, highest_rate_unseen, interval_on_scale, variance_unit

#: sources of variance in the order of the axes of an array of scores
SOURCES = ("patient", "generator_seed", "segmenter_seed")


@dataclass(frozen=True)
class CrossedScores:
    """Scores of one method and metric.

    Attributes:
        values: float64 [patients, generator seeds, segmenter seeds].
        sources: the axes along which chance is at work: a table of real slices has no generator seed, image fidelity
            no segmenter seed. Other axes have length 1.
        seeds: source -> the seeds along its axis; empty for a source means ``0, 1, ...``.

    Raises:
        ValueError: the values have other axes, or an axis that is no source is longer than 1.
    """

    values: np.ndarray
    sources: tuple[str, ...] = SOURCES
    seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.ndim != len(SOURCES) or not set(self.sources) <= set(SOURCES) or "patient" not in self.sources:
            raise ValueError(f"scores {self.values.shape} over {self.sources}: expected the axes {SOURCES}")
        for source, size in zip(SOURCES, self.values.shape, strict=True):
            if source not in self.sources and size != 1:
                raise ValueError(
                    f"scores {self.values.shape}: {source} is no source of variance, yet has {size} values"
                )

    def count(self, source: str) -> int:
        """Number of patients or seeds; 0 where that is no source of variance."""
        return self.values.shape[SOURCES.index(source)] if source in self.sources else 0

    def seeds_of(self, source: str) -> tuple[int, ...]:
        """The seeds along an axis."""
        return self.seeds.get(source) or tuple(range(self.values.shape[SOURCES.index(source)]))

    def restricted(self, source: str, seeds: Sequence[int]) -> CrossedScores:
        """The scores of some seeds of a source alone."""
        own = self.seeds_of(source)
        axis = SOURCES.index(source)
        values = np.take(self.values, [own.index(seed) for seed in seeds], axis)
        return CrossedScores(values, self.sources, {**self.seeds, source: tuple(seeds)})

    @property
    def unknown(self) -> tuple[str, ...]:
        """Sources of variance that were seen once, so that nothing is known of their variance."""
        return tuple(source for source in self.sources if self.count(source) == 1)


@dataclass(frozen=True)
class CrossedMean:
    """Mean of crossed scores, with its interval.

    Attributes:
        mean: over all scores.
        low: lower end; None for one patient.
        high: upper end; None likewise.
        sd: standard deviation of the patients' means; None for one patient.
        patients: number of patients.
        generator_seeds: their number; 0 where no generator is involved.
        segmenter_seeds: their number; 0 where no segmenter is involved.
        standard_error: of the mean; None for one patient.
        degrees_of_freedom: of the standard error; None for one patient.
        variances: moments estimate per source, per interaction (``patient x generator_seed``) and, where there are
            seeds, of the rest (the interaction of all sources); 0 where the estimate is negative.
        unknown: sources seen once. The interval then holds for that one training alone and says nothing of another:
            its coverage for new seeds can be anything.
    """

    mean: float
    low: float | None
    high: float | None
    sd: float | None
    patients: int
    generator_seeds: int
    segmenter_seeds: int
    standard_error: float | None
    degrees_of_freedom: float | None
    variances: dict[str, float]
    unknown: tuple[str, ...]


def crossed_mean(
    scores: CrossedScores, level: float, scale: Scale, seed_squares: SeedSquares | None = None
) -> CrossedMean:
    """Mean of the scores and its interval, which holds for new patients and, unless ``unknown``, for new seeds.

    Args:
        scores: one value per patient and seeds.
        level: confidence, for example 0.95.
        scale: on which the interval is symmetric, see :mod:`pivm.evaluation.intervals`.
        seed_squares: what :func:`pool_seed_squares` says of these scores in the comparison that they belong to;
            ``None``: they stand alone.

    Raises:
        ValueError: as :func:`pivm.evaluation.intervals.checked_scores`.
    """
    values = checked_scores(scores.values, scale)
    mean, patients = float(values.mean()), values.shape[0]
    low = high = sd = standard_error = freedom = None
    variances: dict[str, float] = {}
    if patients > 1:
        squares = _mean_squares(values)
        variances = _variances(squares, values.shape)
        squares |= {e: square for e in squares if (square := (seed_squares or {}).get((e, values.shape)))}
        standard_error, freedom = _standard_error(squares, values.size)
        low, high = interval_on_scale(mean, standard_error, freedom, level, scale)
        if scale == "logit" and mean in (0.0, 1.0):  # no spread to go by: how often may what was never seen occur?
            widest = highest_rate_unseen(patients, level)
            low, high = (0.0, widest) if mean == 0 else (1 - widest, 1.0)
        sd = float(values.mean(axis=(1, 2)).std(ddof=1))
    return CrossedMean(
        mean, low, high, sd, patients, scores.count("generator_seed"), scores.count("segmenter_seed"),
        standard_error, freedom, variances, scores.unknown,
    )  # fmt: skip


def p_value(mean: CrossedMean) -> float | None:
    """Two-sided p that the mean is 0, by the same standard error and degrees of freedom; None for one patient."""
    if mean.standard_error is None or mean.degrees_of_freedom is None:
        return None
    if mean.standard_error == 0:
        return 1.0 if mean.mean == 0 else 0.0
    return float(2 * stdtr(mean.degrees_of_freedom, -abs(mean.mean) / mean.standard_error))


@dataclass(frozen=True)
class MeanSquare:
    """Mean square of an effect with its degrees of freedom."""

    value: float
    freedom: int


#: axes of an effect, shape of the scores
SquareKey = tuple[tuple[int, ...], tuple[int, ...]]
#: their mean square over several methods
SeedSquares = Mapping[SquareKey, MeanSquare]


def variance_units(scores: Mapping[str, CrossedScores], scale: Scale) -> dict[str, float]:
    """Method -> :func:`pivm.evaluation.intervals.variance_unit` of its mean."""
    return {method: variance_unit(scale, float(one.values.mean())) for method, one in scores.items()}


def pool_seed_squares(
    scores: Mapping[tuple[str, ...], CrossedScores], units: Mapping[str, float]
) -> Mapping[tuple[str, ...], SeedSquares]:
    """What trainings differ by, learnt from all columns of a table together.

    Two or three seeds of one column tell next to nothing of the variance between trainings. That it is the same in all
    columns but for its unit is assumed; patients, of whom there are many, are not pooled.

    Args:
        scores: by the methods that they come from: one name for scores, two for the difference of two methods.
        units: of :func:`variance_units`; that of a difference is the sum.

    Returns:
        Pooled mean squares in the units of each of the scores; none for scores without variance by their unit (a rate
        of 0 or 1 throughout), which tell nothing of the others either.
    """
    own = {names: unit for names in scores if (unit := sum(units[name] for name in names)) > 0}
    found: dict[SquareKey, list[tuple[tuple[str, ...], MeanSquare]]] = {}
    for names, unit in own.items():
        for effect, square in _mean_squares(scores[names].values).items():
            if 0 not in effect:
                relative = MeanSquare(square.value / unit, square.freedom)
                found.setdefault((effect, scores[names].values.shape), []).append((names, relative))
    pooled: dict[tuple[str, ...], dict[SquareKey, MeanSquare]] = {names: {} for names in scores}
    for key, members in found.items():
        methods = {name for names, _ in members for name in names}
        # differences of M methods hold M - 1 independent ones
        freedom = (len(methods) - len(members[0][0]) + 1) * members[0][1].freedom
        value = sum(square.value for _, square in members) / len(members)
        for names, unit in own.items():
            pooled[names][key] = MeanSquare(value * unit, freedom)
    return pooled


def _mean_squares(values: np.ndarray) -> dict[tuple[int, ...], MeanSquare]:
    """Mean square of every effect, by its axes; axes of length 1 have none."""
    axes = [axis for axis in range(values.ndim) if values.shape[axis] > 1]
    parts = [(), *_subsets(axes)]
    means = {p: values.mean(axis=tuple(a for a in range(values.ndim) if a not in p), keepdims=True) for p in parts}
    found = {}
    for effect in parts[1:]:
        within = [part for part in parts if set(part) <= set(effect)]
        deviation = np.zeros(())
        for part in within:
            deviation = deviation + (-1) ** (len(effect) - len(part)) * means[part]
        freedom = math.prod(values.shape[axis] - 1 for axis in effect)
        repeats = values.size // math.prod(values.shape[axis] for axis in effect)
        found[effect] = MeanSquare(float((deviation**2).sum()) * repeats / freedom, freedom)
    return found


def _variances(squares: dict[tuple[int, ...], MeanSquare], shape: tuple[int, ...]) -> dict[str, float]:
    """Moments estimates: each mean square less the ones that hold the same effect and more, by turns."""
    found = {}
    for effect in squares:
        total = sum((-1) ** (len(e) - len(effect)) * s.value for e, s in squares.items() if set(effect) <= set(e))
        repeats = math.prod(shape) // math.prod(shape[axis] for axis in effect)
        found[" x ".join(SOURCES[axis] for axis in effect)] = max(0.0, total / repeats)
    return found


def _standard_error(squares: dict[tuple[int, ...], MeanSquare], size: int) -> tuple[float, float]:
    """Standard error of the mean, and its degrees of freedom.

    The moments estimate of the variance may fall below what one source alone makes of it; then that source counts.
    """
    sources = [square for effect, square in squares.items() if len(effect) == 1]
    moments = sum((-1) ** (len(effect) + 1) * square.value for effect, square in squares.items())
    largest = max(sources, key=lambda square: square.value)
    if largest.value == 0:
        return 0.0, float(largest.freedom)
    freedom = float(largest.freedom)
    if moments > largest.value:
        freedom = sum(s.value for s in sources) ** 2 / sum(s.value**2 / s.freedom for s in sources)
    return math.sqrt(max(moments, largest.value) / size), freedom


def _subsets(axes: list[int]) -> list[tuple[int, ...]]:
    """All subsets but the empty one."""
    return [subset for size in range(1, len(axes) + 1) for subset in itertools.combinations(axes, size)]
