"""Scores of every generator's test slices per patient, and what real slices score against real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pivm.evaluation.cases import ImageCase, case_table
from pivm.evaluation.metrics import REAL, ImageMetric, PatientMetric, PooledMetric
from pivm.evaluation.paired import PairedSlices, SyntheticRun
from pivm.evaluation.patient_images import FeatureExtractor, PatientImages, SliceSet


class ImageScores(NamedTuple):
    """The scores behind Table 1.

    Attributes:
        cases: per training and patient: ``method, generator_seed, patient, slices`` and a column per metric.
        floor: the same for method ``real``, with the metrics that are not paired.
        pooled: per metric over all patients and training, floor included: ``method, generator_seed, without``, a column
            per metric, which is filled in its own rows, ``patients, slices``; a row for all patients, where ``without``
            is empty, and one without each of them.
    """

    cases: pd.DataFrame
    floor: pd.DataFrame
    pooled: pd.DataFrame


def score_images(
    pairs: PairedSlices,
    metrics: Sequence[ImageMetric],
    extractor: FeatureExtractor | None,
    window: tuple[float, float],
) -> ImageScores:
    """Score all generators, and the floor: each patient's slices against as many of one training patient.

    Args:
        pairs: real and synthetic slices of held-out patients.
        metrics: entries of :mod:`pivm.evaluation.image_metrics`.
        extractor: of the features; None where no metric reads them.
        window: HU range that metrics and the extractor see.
    """
    by_order = sorted(metrics, key=lambda metric: (metric.order, metric.key))
    of_patient = [m for m in by_order if isinstance(m, PatientMetric)]
    of_all = [m for m in by_order if isinstance(m, PooledMetric)]
    cases, pooled = [], []
    for run, patients in _images(pairs, extractor, window).items():
        method, seed = run or (REAL, None)
        for images in patients:
            scores = {m.key: m.compute(images) for m in of_patient if run or not m.paired}
            cases.append(ImageCase(method, seed, images.patient, len(images.real.hu), scores))
        for metric in of_all:
            if run or not metric.paired:
                rows = _pooled_rows(metric, patients)
                pooled += [{"method": method, "generator_seed": seed, **row} for row in rows]
    columns = ["method", "generator_seed", "without", *(m.key for m in of_all), "patients", "slices"]
    return ImageScores(
        case_table(case for case in cases if case.method != REAL),
        case_table(case for case in cases if case.method == REAL),
        pd.DataFrame(pooled, columns=columns),
    )


def _pooled_rows(metric: PooledMetric, patients: Sequence[PatientImages]) -> list[dict[str, object]]:
    """A row over all patients, and one without each of them where there are several."""
    subsets = {"": list(patients)}
    if len(patients) > 1:
        subsets |= {left_out.patient: [p for p in patients if p is not left_out] for left_out in patients}
    return [
        {
            "without": without,
            metric.key: metric.compute(subset),
            "patients": len(subset),
            "slices": sum(len(images.real.hu) for images in subset),
        }
        for without, subset in subsets.items()
    ]


def _images(
    pairs: PairedSlices, extractor: FeatureExtractor | None, window: tuple[float, float]
) -> dict[SyntheticRun | None, list[PatientImages]]:
    """Training -> what its metrics are computed from, per patient; None, the last one, is the floor."""
    store, positions = pairs.store, dict(pairs.patients())

    def slice_set(hu: np.ndarray) -> SliceSet:
        return SliceSet(np.asarray(hu), window, extractor)

    real = {patient: slice_set(store.hu[pairs.rows[slices]]) for patient, slices in positions.items()}
    body = {patient: np.asarray(store.body[pairs.rows[slices]]) for patient, slices in positions.items()}
    synthetic: dict[SyntheticRun | None, dict[str, SliceSet]] = {
        run: {patient: slice_set(hu[slices]) for patient, slices in positions.items()}
        for run, hu in pairs.synthetic.items()
    }
    synthetic[None] = {
        patient: slice_set(store.hu[rows]) for patient, rows in _rows_of_other_patients(pairs, positions).items()
    }
    return {
        run: [PatientImages(patient, real[patient], slices[patient], body[patient], window) for patient in positions]
        for run, slices in synthetic.items()
    }


def _rows_of_other_patients(pairs: PairedSlices, positions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Held-out patient -> store rows of as many slices of a training patient, another one for each if possible."""
    training = pairs.store.rows("train")
    subjects = pairs.store.index["subject"].to_numpy()[training]
    by_subject = {subject: training[subjects == subject] for subject in sorted(set(subjects))}
    starts = np.linspace(0, len(by_subject) - 1, len(positions)).round().astype(int)
    return {
        patient: same_number_of_real(by_subject, start, len(slices))
        for (patient, slices), start in zip(positions.items(), starts, strict=True)
    }


def same_number_of_real(rows: dict[str, np.ndarray], start: int, count: int) -> np.ndarray:
    """As many real slices of other patients: evenly spaced over one of them, or over several if it has too few.

    Args:
        rows: patient -> store rows of the slices to choose from.
        start: number of the patient to begin with.
        count: of slices.
    """
    patients = list(rows)
    pool = np.zeros(0, int)
    for i in range(len(patients)):
        if len(pool) >= count:
            break
        pool = np.concatenate([pool, rows[patients[(start + i) % len(patients)]]])
    return pool[np.linspace(0, len(pool) - 1, count).round().astype(int)]
