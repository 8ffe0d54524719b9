"""Whether synthetic slices show what their label maps say, judged by segmenters that learnt from original slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pivm.evaluation.cases import SegmentationCase, case_table
from pivm.evaluation.paired import PairedSlices, SyntheticRun
from pivm.evaluation.stack_scoring import scan_cases
from pivm.segmentation.segmenter import Segmenter


class Agreement(NamedTuple):
    """What segmenters see in the slices of one training of a generator, or in the scans' own.

    Attributes:
        cases: as :func:`pivm.evaluation.cases.case_table`, with column ``truth_slices``: slices that hold the class.
        slices: Dice of each slice (:func:`label_dice`), mean over the segmenters, float [N].
    """

    cases: pd.DataFrame
    slices: np.ndarray


def agreement(
    pairs: PairedSlices,
    run: SyntheticRun | None,
    segmenters: Mapping[int, Segmenter],
    names: Sequence[str],
    batch: int,
) -> Agreement:
    """Score the slices of one training against the label maps that they were made from.

    Args:
        pairs: synthetic slices and their label maps.
        run: whose slices; ``None`` for the scans' own.
        segmenters: seed -> segmenter that was trained on original slices.
        names: of the classes, in the order of their ids.
        batch: slices at once.
    """
    store, labels = pairs.store, np.asarray(pairs.store.labels[pairs.rows])
    hu = np.asarray(pairs.store.hu[pairs.rows]) if run is None else pairs.synthetic[run]
    cases: list[SegmentationCase] = []
    dice = []
    for seed, segmenter in segmenters.items():
        found = segmenter.predict(hu, batch)
        dice.append([label_dice(truth, one) for truth, one in zip(labels, found, strict=True)])
        for (patient, scan), part in store.index.iloc[pairs.rows].groupby(["patient", "subject"]):
            at = np.flatnonzero(store.index["subject"].to_numpy()[pairs.rows] == scan)
            seeds = (None if run is None else run.seed, seed)
            cases += scan_cases(labels[at], found[at], part.iloc[0], names, seeds, patient, scan)
    table = case_table(cases)
    return Agreement(table.assign(truth_slices=_slices_with(pairs, labels, table, names)), np.mean(dice, axis=0))


def _slices_with(pairs: PairedSlices, labels: np.ndarray, table: pd.DataFrame, names: Sequence[str]) -> list[int]:
    """Slices of the scan of each case that hold its class."""
    subjects, ids = pairs.store.index["subject"].to_numpy()[pairs.rows], {name: k for k, name in enumerate(names, 1)}
    there = {k: (labels == k).any((1, 2)) for k in ids.values()}
    return [
        int((there[ids[label]] & (subjects == scan)).sum())
        for scan, label in zip(table["scan"], table["label"], strict=True)
    ]


def label_dice(labels: np.ndarray, found: np.ndarray) -> float:
    """Mean Dice over the organs that a label map holds; NaN where it holds none.

    Args:
        labels: uint8 [H, W], 0 = background.
        found: likewise.

    >>> label_dice(np.array([1, 1, 2, 0]), np.array([1, 0, 0, 0]))
    0.333
    """
    organs = [k for k in np.unique(labels) if k]
    if not organs:
        return float("nan")
    overlaps = [
        2 * np.sum((labels == k) & (found == k)) / np.sum((labels == k) + (found == k).astype(int)) for k in organs
    ]
    return float(np.mean(overlaps))
