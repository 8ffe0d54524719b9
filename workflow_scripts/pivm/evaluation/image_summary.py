"""Table 1 from its scores: the means of the patients, the metrics of all patients together, and the floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from pivm.evaluation.image_scoring import ImageScores
from pivm.evaluation.metrics import REAL, ImageMetric, PatientMetric, PooledMetric
from pivm.evaluation.statistics import Summary, summarise_metric, summarise_pooled


class ImageTable(NamedTuple):
    """Table 1 and what stands beside it.

    Attributes:
        summary: of the generators.
        cases: scores per training and patient.
        floor: tidy rows of real slices against real slices of other patients.
    """

    summary: Summary
    cases: pd.DataFrame
    floor: pd.DataFrame


def summarise_images(
    scores: ImageScores, metrics: Sequence[ImageMetric], methods: Sequence[str], level: float
) -> ImageTable:
    """Table 1.

    Args:
        scores: as :func:`pivm.evaluation.image_scoring.score_images` gives them.
        metrics: in the order of the tidy table, where those of all patients together come last.
        methods: the generators in the order of the table.
        level: of the intervals.
    """
    by_kind = [m for m in metrics if isinstance(m, PatientMetric)] + [m for m in metrics if isinstance(m, PooledMetric)]

    def summaries(frame: pd.DataFrame, chosen: Sequence[ImageMetric], names: Sequence[str]) -> Summary:
        return Summary(
            [
                summarise_pooled(scores.pooled, metric, names, level)
                if isinstance(metric, PooledMetric)
                else summarise_metric(frame, metric, names, level)
                for metric in chosen
            ],
            list(names),
        )

    real = summaries(scores.floor, [m for m in by_kind if not m.paired], [REAL])
    return ImageTable(summaries(scores.cases, by_kind, methods), scores.cases, real.tidy)
