"""From scores per case to tables: mean over classes, then patients and seeds, with intervals and paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.crossed import CrossedMean, crossed_mean, pool_seed_squares, variance_units
from pivm.evaluation.crossing import cross_scores
from pivm.evaluation.metrics import Metric
from pivm.evaluation.pairs import PairedDifference, compare, compare_pairs
from pivm.evaluation.pooled import PooledScores, pooled_mean

_NUMBERS = ["mean", "sd", "ci_low", "ci_high", "patients", "generator_seeds", "segmenter_seeds"]
#: columns of every tidy table
TIDY = ["metric", "unit", "better", "method", *_NUMBERS]
DIFFERENCES = ["metric", "method", "reference", "difference", "ci_low", "ci_high", "p", "p_holm", "patients"]
VARIANCES = ["metric", "method", "source", "variance"]
#: columns of a table per organ
ORGANS = ["organ", "small", *TIDY]
#: an organ is small where its voxels per patient are below this share of those of the median organ
SMALL = 0.25


@dataclass(frozen=True)
class MetricSummary:
    """What the patients say of one metric.

    Attributes:
        metric: its entry.
        means: by method; empty where no case has a score in all runs.
        pairs: every method against every other.
        patients_left_out: they have no case that is scored in all runs.
        cases_left_out: share of the cases with a score in some run that lack one in another.
    """

    metric: Metric
    means: dict[str, CrossedMean]
    pairs: list[PairedDifference]
    patients_left_out: tuple[str, ...] = ()
    cases_left_out: float = 0.0


class Summary(NamedTuple):
    """A table and what stands beside it.

    Attributes:
        metrics: one entry per metric.
        methods: in the order of the table.
    """

    metrics: list[MetricSummary]
    methods: list[str]

    @property
    def tidy(self) -> pd.DataFrame:
        """Columns :data:`TIDY`; a metric that no case has in all runs has no mean and 0 patients."""
        rows = [tidy_row(s.metric, method, s.means.get(method)) for s in self.metrics for method in self.methods]
        return pd.DataFrame(rows, columns=TIDY)

    @property
    def differences(self) -> pd.DataFrame:
        """Columns :data:`DIFFERENCES`: every method minus every earlier one, over the same patients."""
        rows = [
            (s.metric.key, pair.method, pair.reference, d.mean, d.low, d.high, pair.p, pair.p_holm, d.patients)
            for s in self.metrics
            for pair in s.pairs
            for d in [pair.difference]
        ]
        return pd.DataFrame(rows, columns=DIFFERENCES)

    @property
    def variances(self) -> pd.DataFrame:
        """Columns :data:`VARIANCES`: of the scores, by source and by interaction of sources."""
        rows = [
            (s.metric.key, method, source, variance)
            for s in self.metrics
            for method, mean in s.means.items()
            for source, variance in mean.variances.items()
        ]
        return pd.DataFrame(rows, columns=VARIANCES)


def summarise(cases: pd.DataFrame, metrics: Iterable[str], methods: Sequence[str], level: float) -> Summary:
    """The numbers of a table.

    Args:
        cases: columns ``method, patient, generator_seed, segmenter_seed``, one per metric and, for scores per class,
            ``label``; see :func:`pivm.evaluation.crossing.cross_scores`.
        metrics: keys of :data:`pivm.evaluation.all_metrics.METRICS`.
        methods: in the order of the table.
        level: of the intervals.
    """
    return Summary([summarise_metric(cases, METRICS[key], methods, level) for key in metrics], list(methods))


def summarise_metric(cases: pd.DataFrame, metric: Metric, methods: Sequence[str], level: float) -> MetricSummary:
    """As :func:`summarise`, for one metric."""
    defined = cases[cases[metric.key].notna()]
    if defined.empty:
        return MetricSummary(metric, {}, [], tuple(dict.fromkeys(cases["patient"])))
    table = cross_scores(cases, metric.key)
    if not table.patients:
        return MetricSummary(metric, {}, [], table.patients_left_out, table.cases_left_out)
    scores = {method: table.scores[method] for method in methods}
    trainings = pool_seed_squares({(method,): s for method, s in scores.items()}, variance_units(scores, metric.scale))
    means = {method: crossed_mean(s, level, metric.scale, trainings[method,]) for method, s in scores.items()}
    pairs = compare_pairs(scores, level, metric.scale)
    return MetricSummary(metric, means, pairs, table.patients_left_out, table.cases_left_out)


def summarise_pooled(pooled: pd.DataFrame, metric: Metric, methods: Sequence[str], level: float) -> MetricSummary:
    """The same for a metric of all patients together.

    Args:
        pooled: as in :class:`pivm.evaluation.image_scoring.ImageScores`.
        metric: its entry.
        methods: in the order of the table.
        level: of the intervals.
    """
    scores = {method: PooledScores.read(pooled[pooled["method"] == method], metric.key) for method in methods}
    means = {method: pooled_mean(s, level, metric.scale) for method, s in scores.items()}

    def difference(method: str, reference: str) -> CrossedMean:
        return pooled_mean(scores[method].minus(scores[reference]), level, "identity")

    return MetricSummary(metric, means, compare(list(methods), difference))


def summarise_organs(cases: pd.DataFrame, metrics: Sequence[str], methods: Sequence[str], level: float) -> pd.DataFrame:
    """The numbers per organ: means over patients, which a mean over organs hides.

    As everywhere, a patient counts where all methods have a score. A method that has one in fewer than half of the
    patients with a score, as of a distance to what its segmenters hardly ever find, is left out of that row: two
    patients would be left of forty, for all methods alike.

    Args:
        cases: as in :func:`summarise`, with ``label`` and ``truth_voxels``.
        metrics: in the order of the rows.
        methods: likewise.
        level: of the intervals.

    Returns:
        Columns :data:`ORGANS`; organs in the order of the cases. ``small`` marks those that hold fewer voxels per
        patient than a quarter of the median organ.
    """
    frames = []
    small = small_organs(cases)
    for organ, part in cases.groupby("label", sort=False):
        for metric in metrics:
            scored = methods_with_scores(part, metric, methods)
            tidy = summarise(part[part["method"].isin(scored)], [metric], scored, level).tidy
            frames.append(tidy[tidy["patients"] > 0].assign(organ=organ, small=organ in small))
    return pd.concat(frames, ignore_index=True)[ORGANS]


def methods_with_scores(cases: pd.DataFrame, metric: str, methods: Sequence[str]) -> list[str]:
    """The methods whose runs all have a score in at least half of the patients in whom some method's runs have.

    Args:
        cases: as in :func:`summarise`, of one organ.
        metric: name of the column of scores.
        methods: in the order of the table.
    """
    scored = cases[metric].notna().groupby([cases["method"], cases["patient"]]).all().unstack(fill_value=False)
    patients = scored.sum(axis=1).reindex(methods, fill_value=0)
    return [method for method in methods if 2 * patients[method] >= scored.any().sum()]


def small_organs(cases: pd.DataFrame) -> set[str]:
    """Organs with fewer voxels per patient in the truth than a quarter of those of the median organ.

    Args:
        cases: columns ``method, patient, label, truth_voxels``.
    """
    held = cases[cases["truth_voxels"] > 0]
    voxels = held.groupby("label")["truth_voxels"].mean()
    return set(voxels[voxels < SMALL * voxels.median()].index)


def tidy_row(metric: Metric, method: str, mean: CrossedMean | None) -> tuple:
    """One row of a tidy table."""
    numbers: tuple = (None, None, None, None, 0, 0, 0)
    if mean is not None:
        numbers = (
            mean.mean, mean.sd, mean.low, mean.high, mean.patients, mean.generator_seeds, mean.segmenter_seeds
        )  # fmt: skip
    return (metric.key, metric.unit, metric.better, method, *numbers)


def per_patient(cases: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean over classes and seeds: one row per method and patient, for figures.

    Args:
        cases: as in :func:`summarise`.
        metrics: columns to average, each over the cases that have a score in all runs.
    """
    frames: list[pd.DataFrame] = []
    for metric in metrics:
        if not cases[metric].notna().any():
            continue
        table = cross_scores(cases, metric)
        for method, scores in table.scores.items():
            values = scores.values.mean(axis=(1, 2))
            frames.append(
                pd.DataFrame({"method": method, "patient": table.patients, "metric": metric, "value": values})
            )
    return pd.concat(frames, ignore_index=True)
