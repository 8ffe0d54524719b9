"""Scores of every generator's test slices per patient, and what real slices score against real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pivm.evaluation.features import Extractor
from pivm.evaluation.images import frechet_distance, kid, kid_without_each, same_number_of_real, ssim
from pivm.evaluation.metrics import REAL, distance_metric
from pivm.evaluation.paired import PairedSlices


def score_images(
    pairs: PairedSlices, extractor: Extractor, window: tuple[float, float]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Score all generators, and the floor: each patient's slices against as many of one training patient.

    Args:
        window: HU range that SSIM and the extractor see.

    Returns:
        (per generator and patient: ``method, patient, slices, ssim, ssim_body`` and the Fréchet distance;
        the same without SSIM for the floor, method ``real``;
        per method, floor included: ``method, without, kid, patients, slices``, a row for all patients and one
        without each of them).
    """
    store, metric = pairs.store, distance_metric(extractor.name)
    patients = dict(pairs.patients())
    training = store.rows("train")
    subjects = store.index["subject"].to_numpy()[training]
    by_subject = {s: training[subjects == s] for s in sorted(set(subjects))}
    starts = np.linspace(0, len(by_subject) - 1, len(patients)).round().astype(int)
    real = {p: np.asarray(store.hu[pairs.rows[own]]) for p, own in patients.items()}
    others = {
        p: store.hu[same_number_of_real(by_subject, start, len(own))]
        for (p, own), start in zip(patients.items(), starts, strict=True)
    }
    slices = {g: {p: np.asarray(hu[own]) for p, own in patients.items()} for g, hu in pairs.made.items()}
    features = {p: extractor(hu, window) for p, hu in real.items()}
    cases, pooled = [], []
    for method, parts in {**slices, REAL: others}.items():
        made = {p: extractor(hu, window) for p, hu in parts.items()}
        for p, own in patients.items():
            row = {"method": method, "patient": p, "slices": len(own)}
            if method != REAL:
                body = np.asarray(store.body[pairs.rows[own]])
                row["ssim"], row["ssim_body"] = ssim(real[p], parts[p], body, window)
            row[metric] = frechet_distance(features[p], made[p])
            cases.append(row)
        both = list(features.values()), list(made.values())
        values = [kid(*map(np.concatenate, both)), *kid_without_each(*both)]
        for left_out, value in zip(["", *patients][: len(values)], values, strict=True):
            slices_left = len(pairs.rows) - len(patients.get(left_out, ()))
            pooled.append((method, left_out, value, len(patients) - (left_out != ""), slices_left))
    scores = pd.DataFrame(cases)
    is_floor = scores["method"] == REAL
    kid_columns = ["method", "without", "kid", "patients", "slices"]
    return (
        scores[~is_floor],
        scores.loc[is_floor, ["method", "patient", "slices", metric]],
        pd.DataFrame(pooled, columns=kid_columns),
    )
