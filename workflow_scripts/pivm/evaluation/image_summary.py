"""Table 1 from its scores: the means of the patients, the metrics of all patients together, and the floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from pivm.evaluation.image_scoring import ImageScores
from pivm.evaluation.metrics import REAL, ImageMetric, PatientMetric, PooledMetric
from pivm.evaluation.statistics import TIDY, Bootstrap, jackknife_interval, summarise


class ImageTable(NamedTuple):
    """Table 1 and what stands beside it.

    Attributes:
        tidy: rows of the generators.
        cases: scores per generator and patient.
        floor: tidy rows of real slices against real slices of other patients.
        differences: of every generator to the first one.
    """

    tidy: pd.DataFrame
    cases: pd.DataFrame
    floor: pd.DataFrame
    differences: pd.DataFrame


def summarise_images(
    scores: ImageScores, metrics: Sequence[ImageMetric], methods: Sequence[str], bootstrap: Bootstrap
) -> ImageTable:
    """Table 1.

    Args:
        scores: as :func:`pivm.evaluation.image_scoring.score_images` gives them.
        metrics: in the order of the tidy table, where those of all patients together come last.
        methods: the generators in the order of the table.
        bootstrap: of the intervals over patients; its seed is that of the run.
    """
    cases, floor = (frame.assign(seed=bootstrap.seed) for frame in (scores.cases, scores.floor))
    of_patient = [m for m in metrics if isinstance(m, PatientMetric)]
    summary = summarise(cases, [m.key for m in of_patient], methods, bootstrap)
    real = summarise(floor, [m.key for m in of_patient if not m.paired], [REAL], bootstrap)
    pooled = pooled_rows(scores.pooled, [m for m in metrics if isinstance(m, PooledMetric)], bootstrap.confidence)
    is_floor = pooled["method"] == REAL
    tidy = pd.concat([summary.tidy, pooled[~is_floor]], ignore_index=True)
    return ImageTable(tidy, cases, pd.concat([real.tidy, pooled[is_floor]], ignore_index=True), summary.differences)


def pooled_rows(pooled: pd.DataFrame, metrics: Sequence[PooledMetric], confidence: float) -> pd.DataFrame:
    """Tidy rows of metrics over all patients together, which have no spread over patients.

    Args:
        pooled: as in :class:`pivm.evaluation.image_scoring.ImageScores`.
        metrics: in the order of the rows.
        confidence: of the jackknife interval over patients.
    """
    frames, is_whole = [], pooled["without"].fillna("") == ""
    for metric in metrics:
        rows = pooled[is_whole & pooled[metric.key].notna()].rename(columns={metric.key: "mean"})
        left_out = pooled[~is_whole].groupby("method")[metric.key].agg(lambda values: list(values.dropna()))
        ends = [jackknife_interval(row.mean, left_out.get(row.method, []), confidence) for row in rows.itertuples()]
        rows = rows.assign(ci_low=[end.low for end in ends], ci_high=[end.high for end in ends])
        frames.append(rows.assign(metric=metric.key, unit=metric.unit, better=metric.better, sd=None, seeds=1)[TIDY])
    return pd.concat(frames) if frames else pd.DataFrame(columns=TIDY)
