"""From scores per case to balanced arrays of patients and seeds, every method over the same cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pivm.evaluation.crossed import SOURCES, CrossedScores

#: columns that name a case of a method
CASE = ["method", *SOURCES]


@dataclass(frozen=True)
class CrossedTable:
    """Balanced scores of one metric.

    Attributes:
        scores: by method, all over :attr:`patients`; empty where no case has a score everywhere.
        patients: in the order of the first axis.
        patients_left_out: they lack a score in at least one method or seed.
        cases_left_out: share of the scored (patient, scan, class) cases that are not scored everywhere.
    """

    scores: dict[str, CrossedScores]
    patients: tuple[str, ...]
    patients_left_out: tuple[str, ...]
    cases_left_out: float


def cross_scores(cases: pd.DataFrame, metric: str) -> CrossedTable:
    """Average the scores over scans and classes, and cross patients with seeds.

    A class of a patient counts where every method and seed has a score for it, so that all methods are averaged over
    the same classes: otherwise a method that misses the hard organs gains by it.

    Args:
        cases: columns ``method, patient, generator_seed, segmenter_seed, metric`` and, for several scores per patient,
            ``scan`` and ``label``.
            A seed that does not apply to a method is missing (None, NaN) in all of its rows; one that applies to no
            method needs no column. An undefined score is missing.
        metric: name of the column of scores.

    Raises:
        ValueError: a method has scores at some combinations of its seeds and not at others, or a case occurs twice.
    """
    for source in SOURCES[1:]:
        if source not in cases:
            cases = cases.assign(**{source: None})
    unit = [column for column in ("patient", "scan", "label") if column in cases]
    runs = cases[["method", *SOURCES[1:]]].drop_duplicates()
    if cases.duplicated([*CASE, *unit[1:]]).any():
        raise ValueError(f"{metric}: a case occurs twice; expected one row per {', '.join([*CASE, *unit[1:]])}")
    held = cases.dropna(subset=[metric])
    counts = held.groupby(unit, sort=False).size()
    everywhere = counts[counts == len(runs)].index
    if everywhere.empty:
        return CrossedTable({}, (), tuple(dict.fromkeys(cases["patient"])), 1.0)
    common = held[held.set_index(unit).index.isin(everywhere)]
    patients = tuple(dict.fromkeys(common["patient"]))
    means = common.groupby([*CASE], sort=False, dropna=False)[metric].mean()
    scores = {method: _array(means, runs[runs["method"] == method], patients, method) for method in
              dict.fromkeys(runs["method"])}  # fmt: skip
    left_out = tuple(p for p in dict.fromkeys(cases["patient"]) if p not in set(patients))
    return CrossedTable(scores, patients, left_out, 1 - len(everywhere) / len(counts))


def _array(means: pd.Series, runs: pd.DataFrame, patients: tuple[str, ...], method: str) -> CrossedScores:
    """One method's means as [patients, generator seeds, segmenter seeds]."""
    seeds, sources = [], ["patient"]
    for source in SOURCES[1:]:
        given = runs[source].dropna().unique()
        if len(given) and runs[source].isna().any():
            raise ValueError(f"{method}: some of its rows lack {source}")
        sources += [source] if len(given) else []
        seeds.append(sorted(given) if len(given) else [None])
    if len(runs) != len(seeds[0]) * len(seeds[1]):
        raise ValueError(
            f"{method}: {len(runs)} runs of {len(seeds[0])} generator and {len(seeds[1])} segmenter seeds; expected "
            "every combination of them"
        )
    frame = means.loc[method].reset_index()
    order = [pd.Index(patients), *(pd.Index(s) for s in seeds)]
    values = np.empty([len(index) for index in order])
    places = [index.get_indexer(frame[source]) if source in sources else np.zeros(len(frame), int)
              for source, index in zip(SOURCES, order, strict=True)]  # fmt: skip
    values[tuple(places)] = frame.iloc[:, -1]
    named = {source: tuple(int(s) for s in index) for source, index in zip(SOURCES[1:], order[1:], strict=True)
             if source in sources}  # fmt: skip
    return CrossedScores(values, tuple(sources), named)
