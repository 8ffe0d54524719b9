"""A segmenter on the stacked slices of held-out patients: the cases of Tables 2 and 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pivm.cohort.store import SliceStore
from pivm.evaluation.cases import SegmentationCase
from pivm.evaluation.overlap import score_patient
from pivm.segmentation.segmenter import Segmenter


def score_stacks(
    segmenter: Segmenter,
    store: SliceStore,
    rows: np.ndarray,
    names: Sequence[str],
    batch: int,
    seeds: tuple[int | None, int],
    shift: Callable[[SliceStore, np.ndarray], np.ndarray] | None = None,
) -> list[SegmentationCase]:
    """Segment the slices of each scan and score every class.

    Args:
        segmenter: trained.
        store: the slice store.
        rows: of the held-out slices.
        names: of the classes, in the order of their ids.
        batch: slices at once.
        seeds: of the generator of its training slices (None without any), and of its own training.
        shift: what is shown in place of the slices of a scan: (store, its rows) -> int16 HU [N, H, W].
    """
    cases = []
    for (patient, scan), slices in store.index.iloc[rows].groupby(["patient", "subject"]):
        own = slices.index.to_numpy()
        hu = store.hu[own] if shift is None else shift(store, own)
        predicted, labels = segmenter.predict(hu, batch), np.asarray(store.labels[own])
        cases += scan_cases(labels, predicted, slices.iloc[0], names, seeds, patient, scan)
    return cases


def scan_cases(
    labels: np.ndarray,
    predicted: np.ndarray,
    first: pd.Series,
    names: Sequence[str],
    seeds: tuple[int | None, int],
    patient: str,
    scan: str,
) -> list[SegmentationCase]:
    """Score every class in the stacked slices of one scan.

    Args:
        labels: uint8 [N, H, W].
        predicted: likewise.
        first: row of the store's index, of its first slice.
        names: of the classes, in the order of their ids.
        seeds: as in :func:`score_stacks`.
        patient: the person.
        scan: its name.
    """
    spacing_mm = (first["step_mm"], first["pixel_mm"], first["pixel_mm"])
    scores = score_patient(labels, predicted, names, spacing_mm)
    return [SegmentationCase(*seeds, patient, scan, **vars(score)) for score in scores]
