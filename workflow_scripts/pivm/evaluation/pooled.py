"""Metrics that are taken over all patients together (KID): intervals and differences by leaving patients out.

Slices of one patient are not independent, and a bootstrap would put copies of one slice on both sides of a kernel: the
spread over patients is the jackknife's (Efron and Stein 1981), to which that between the trainings of a generator is
added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pivm.evaluation.crossed import CrossedMean
from pivm.evaluation.intervals import Scale, interval_on_scale


@dataclass(frozen=True)
class PooledScores:
    """A pooled metric of one method.

    Attributes:
        whole: float64 [G], of all patients, per training of the generator.
        without: float64 [G, P], with each patient left out in turn; P = 1 stands for a single patient.
        seeds: of the trainings; None for real slices.
    """

    whole: np.ndarray
    without: np.ndarray
    seeds: tuple[int, ...] | None

    @classmethod
    def read(cls, rows: pd.DataFrame, metric: str) -> PooledScores:
        """From the rows of one method.

        Args:
            rows: columns ``generator_seed, without`` (empty: all patients), ``patients`` and the metric.
            metric: its key.
        """
        rows = rows[rows[metric].notna()]
        is_whole = rows["without"].fillna("") == ""
        whole = rows[is_whole].sort_values("generator_seed")
        left_out = rows[~is_whole].pivot(index="generator_seed", columns="without", values=metric).sort_index()
        seeds = whole["generator_seed"]
        without = left_out.to_numpy(float) if len(left_out) else np.zeros((len(whole), 1))
        return cls(whole[metric].to_numpy(float), without, None if seeds.isna().any() else tuple(map(int, seeds)))

    def minus(self, other: PooledScores) -> PooledScores:
        """The difference, seed by seed over those that both have; real slices are set against every seed."""
        a, b = self, other
        if a.seeds is not None and b.seeds is not None:
            shared = tuple(seed for seed in a.seeds if seed in b.seeds)
            a, b = a._restricted(shared), b._restricted(shared)
        return PooledScores(a.whole - b.whole, a.without - b.without, b.seeds if a.seeds is None else a.seeds)

    def _restricted(self, seeds: tuple[int, ...]) -> PooledScores:
        places = [(self.seeds or ()).index(seed) for seed in seeds]
        return PooledScores(self.whole[places], self.without[places], seeds)


def pooled_mean(scores: PooledScores, level: float, scale: Scale) -> CrossedMean:
    """Mean over trainings with its interval, for new patients and, with several trainings, for new ones.

    Args:
        scores: of one method, or a difference.
        level: confidence.
        scale: on which the interval is symmetric.
    """
    trainings, patients = scores.without.shape
    mean, seeds = float(scores.whole.mean()), 0 if scores.seeds is None else trainings
    unknown = ("generator_seed",) if seeds == 1 else ()
    if patients == 1:
        return CrossedMean(mean, None, None, None, 1, seeds, 0, None, None, {}, unknown)
    parts = {"patient": (patients - 1) * float(scores.without.mean(axis=0).var()), "generator_seed": 0.0}
    freedoms = {"patient": patients - 1, "generator_seed": max(trainings - 1, 1)}
    if trainings > 1:
        parts["generator_seed"] = float(scores.whole.var(ddof=1)) / trainings
    total = sum(parts.values())
    freedom = total**2 / sum(v**2 / freedoms[k] for k, v in parts.items()) if total > 0 else patients - 1
    low, high = interval_on_scale(mean, math.sqrt(total), freedom, level, scale)
    return CrossedMean(
        mean, low, high, None, patients, seeds, 0, math.sqrt(total), freedom,
        {"generator_seed": parts["generator_seed"] * trainings} if trainings > 1 else {}, unknown,
    )  # fmt: skip
