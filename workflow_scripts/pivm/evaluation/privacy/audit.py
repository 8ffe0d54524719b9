"""Shares of copies and the attack with their intervals, and whether either is more than fresh patients show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from pivm.evaluation.crossed import CrossedScores, crossed_mean
from pivm.evaluation.privacy.membership import attack
from pivm.evaluation.privacy.settings import CONTROLS
from pivm.synthesis.copies import REAL_SETS, SEEN, Limits

#: method of the rows of real slices
REAL = "real"
#: label maps of synthetic slices in the order of the rows; those of ``val`` give the limits and are no row
LABEL_MAPS = ("train", "augmented", "labels_only", "test")
#: columns of the table; ``expected`` is the same number of the patients compared with, whom no generator has seen
PRIVACY = [
    *("metric", "unit", "better", "method", "label_maps", "mean", "ci_low", "ci_high"),
    *("expected", "p", "patients", "compared", "generator_seeds"),
]
_RESAMPLES = 9999


class Audit(NamedTuple):
    """What was measured of one training of a generator.

    Attributes:
        method: generator, or control.
        seed: of the training.
        distances: columns :data:`pivm.synthesis.copies.DISTANCES`.
        losses: columns :data:`pivm.evaluation.privacy.membership.LOSSES`; empty where the generator has no such loss.
        members: the training patients that it must not copy, or of a control must.
    """

    method: str
    seed: int
    distances: pd.DataFrame
    losses: pd.DataFrame
    members: tuple[str, ...]


def audit_table(audits: Sequence[Audit], percentiles: dict[str, float], level: float) -> pd.DataFrame:
    """All numbers of the audit.

    Args:
        audits: of all trainings; those of one method stand together.
        percentiles: metric of a share of copies (``copies``, ``near``) -> percentile of fresh slices.
        level: of the intervals.

    Returns:
        Columns :data:`PRIVACY`, a row per metric, method and label maps. ``p`` is one-sided: of shares by permutation
        of patients, of ``membership_auc`` that of Mann and Whitney. Rows of the attack have no label maps.
    """
    rows = _real(audits[0].distances, percentiles, level)
    for method in dict.fromkeys(audit.method for audit in audits):
        mine = [audit for audit in audits if audit.method == method]
        for name in LABEL_MAPS:
            if all((audit.distances["set"] == name).any() for audit in mine):
                rows += [
                    {"method": method, "label_maps": name, **row} for row in _of_set(mine, name, percentiles, level)
                ]
        if all(len(audit.losses) for audit in mine):
            rows += [{"method": method, "label_maps": "", **row} for row in _of_attack(mine, level)]
    table = pd.DataFrame(rows).reindex(columns=PRIVACY)
    better = table["metric"].map({"distance": "higher"}).fillna("lower")
    return table.assign(unit="1", better=better)


def _real(distances: pd.DataFrame, percentiles: dict[str, float], level: float) -> list[dict]:
    """Real patients whom nothing was trained on: they must pass. Each validation patient is held against the others."""
    rows = []
    val = distances[distances["set"] == REAL_SETS["val"]]
    for metric, percentile in percentiles.items():
        fresh = _flags(distances, REAL_SETS["test"], percentile)
        if val["patient"].nunique() > 1:
            left_out = []
            for patient, mine in val.groupby("patient"):
                limit = np.percentile(val.loc[val["patient"] != patient, "nearest"], percentile)
                left_out.append(mine.assign(copy=mine["nearest"] < limit))
            shares = _by_patient([pd.concat(left_out)])
            numbers = _rate(shares, level, ("patient",)) | _against(shares, _by_patient([fresh]))
            rows.append({"metric": metric, "method": REAL, "label_maps": "val", **numbers})
        numbers = _rate(_by_patient([fresh]), level, ("patient",))
        rows.append({"metric": metric, "method": REAL, "label_maps": "test", **numbers})
    return rows


def _of_set(audits: list[Audit], name: str, percentiles: dict[str, float], level: float) -> list[dict]:
    """Numbers of the slices from label maps of one set, beside those of patients that no training has seen."""
    seen = name in SEEN
    column, fresh_set = ("own", "test") if seen else ("nearest", REAL_SETS["test"])
    parts = [audit.distances[audit.distances["set"] == name] for audit in audits]
    fresh = [audit.distances[audit.distances["set"] == fresh_set] for audit in audits]
    means = _pivot(parts, column)
    distance = crossed_mean(CrossedScores(means[:, :, None], ("patient", "generator_seed")), level, "identity")
    rows = [{"metric": "distance", **_numbers(distance), "expected": _pivot(fresh, column).mean()}]
    for metric, percentile in percentiles.items():
        mine = [_flags(audit.distances, name, percentile) for audit in audits]
        others = [_flags(audit.distances, fresh_set, percentile, seen) for audit in audits]
        shares, expected = _by_patient(mine), _by_patient(others)
        rows.append({"metric": metric, **_rate(shares, level), **_against(shares, expected)})
        if metric == next(iter(percentiles)):
            rows.append({"metric": "copied_patients", **_copied(audits, mine, others, seen, level)})
    return rows


def _flags(distances: pd.DataFrame, name: str, percentile: float, as_seen: bool = False) -> pd.DataFrame:
    """The slices of a set with column ``copy``; ``as_seen``: judged by their own label map, as those of SEEN are."""
    limits, part = Limits.fit(distances, percentile), distances[distances["set"] == name]
    return part.assign(copy=part["own"] < limits.labels if as_seen else limits.copies(part))


def _copied(
    audits: list[Audit], mine: list[pd.DataFrame], others: list[pd.DataFrame], seen: bool, level: float
) -> dict:
    """Training patients of whom there is a copy: those of the label maps, or the nearest where these are of others."""
    column = "patient" if seen else "nearest_patient"
    found = [set(part.loc[part["copy"], column]) for part in mine]
    values = np.array([[float(p in names) for names in found] for p in audits[0].members])
    if seen:  # of as many patients of whom nothing was learnt, so many have such a slice
        expected = np.mean([part.groupby("patient")["copy"].any().mean() for part in others])
    else:
        near = [set(part.loc[part["copy"], column]) for part in others]
        expected = np.mean([[p in names for names in near] for p in audits[0].members])
    return _rate(values, level) | {"expected": float(expected)}


def _of_attack(audits: list[Audit], level: float) -> list[dict]:
    losses = pd.concat([audit.losses.assign(generator_seed=audit.seed) for audit in audits], ignore_index=True)
    whole, rows = attack(losses, level), []
    attacks = {"membership_auc": whole}
    if losses["level"].nunique() > 1:
        attacks |= {f"membership_auc_{key:g}": attack(part, level) for key, part in losses.groupby("level")}
    counts = {"patients": whole.members, "compared": whole.others, "generator_seeds": len(audits)}
    for metric, one in attacks.items():
        rows.append({"metric": metric, "mean": one.auc, "ci_low": one.low, "ci_high": one.high, "p": one.p, **counts})
        rows[-1]["expected"] = 0.5
    rates = {"mean": whole.tpr, "ci_low": whole.tpr_low, "ci_high": whole.tpr_high, "expected": whole.chance_tpr}
    return [*rows, {"metric": "membership_tpr", **rates, **counts}]


def _pivot(parts: list[pd.DataFrame], column: str) -> np.ndarray:
    """Mean of a column per patient and training, float64 [patients, trainings]; patients that all trainings have."""
    means = [part.assign(**{column: part[column].astype(float)}).groupby("patient")[column].mean() for part in parts]
    return pd.concat(means, axis=1, join="inner").to_numpy()


def _by_patient(parts: list[pd.DataFrame]) -> np.ndarray:
    return _pivot(parts, "copy")


def _rate(values: np.ndarray, level: float, sources: tuple[str, ...] = ("patient", "generator_seed")) -> dict:
    return _numbers(crossed_mean(CrossedScores(values[:, :, None], sources), level, "logit"))


def _numbers(mean) -> dict:
    counts = {"patients": mean.patients, "generator_seeds": mean.generator_seeds}
    return {"mean": mean.mean, "ci_low": mean.low, "ci_high": mean.high, **counts}


def _against(shares: np.ndarray, fresh: np.ndarray) -> dict:
    """p that patients have no larger shares than those whom no training has seen, by permutation of the patients."""
    mine, others = shares.mean(axis=1), fresh.mean(axis=1)
    return {"expected": float(others.mean()), "p": _permuted(mine, others), "compared": len(others)}


def _permuted(mine: np.ndarray, others: np.ndarray) -> float:
    if len(mine) > 1 and len(others) > 1:
        test = stats.permutation_test(
            (mine, others),
            lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
            vectorized=True,
            alternative="greater",
            n_resamples=_RESAMPLES,
            rng=np.random.default_rng(0),
        )
        return float(test.pvalue)
    # who stands alone could as well be any other patient
    everybody = np.concatenate([mine, others])
    return float(np.mean(everybody >= mine[0] if len(mine) == 1 else everybody <= others[0]))


def caught(row, level: float) -> bool | None:
    """Whether a row of ``copies`` or ``membership_auc`` is more than fresh patients show; None: too few to tell.

    No correction for several rows: an audit should warn too often rather than too seldom.
    """
    smallest = 1 / math.comb(int(row.patients + row.compared), int(row.patients))
    return None if smallest > 1 - level else bool(row.p <= 1 - level)


def findings(table: pd.DataFrame, method: str, level: float) -> dict[str, bool | None]:
    """What is found of a method: ``copies`` over all its label maps, ``membership`` where it has a loss to attack."""
    mine = table[(table["method"] == method) & table["p"].notna()]
    found = {}
    for name, metric in (("copies", "copies"), ("membership", "membership_auc")):
        each = [caught(row, level) for row in mine[mine["metric"] == metric].itertuples()]
        if each:
            found[name] = True if True in each else (None if None in each else False)
    return found


def controls_fire(table: pd.DataFrame, level: float) -> dict[str, bool | None]:
    """Control -> it does what it must: the over-trained are found to copy, real validation patients are not."""
    methods = set(table["method"])
    done = {name: findings(table, name, level)["copies"] for name in CONTROLS if name in methods}
    real = findings(table, REAL, level).get("copies")
    return {**done, REAL: None if real is None else not real}
