"""The rows behind a table: the scores of one patient, or of one class in one patient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class SegmentationCase:
    """Scores of one class in one patient, segmented by one model.

    Attributes:
        generator_seed: of the generator of its training slices; None without any.
        segmenter_seed: of the segmenter's training.
        patient: the person.
        scan: a person may have several.
        label: name of the class.
        scores: by key of the metric; None where it is not defined.
        truth_voxels: of the class in the truth.
        predicted_voxels: of the class in the prediction.
    """

    generator_seed: int | None
    segmenter_seed: int
    patient: str
    scan: str
    label: str
    scores: dict[str, float | None]
    truth_voxels: int
    predicted_voxels: int


@dataclass(frozen=True)
class ImageCase:
    """Scores of the synthetic slices of one patient.

    Attributes:
        method: the generator, or ``real``.
        generator_seed: of its training; None for real slices.
        patient: its name.
        slices: how many.
        scores: by key of the metric.
    """

    method: str
    generator_seed: int | None
    patient: str
    slices: int
    scores: dict[str, float]


@dataclass(frozen=True)
class RegionCase:
    """Fidelity of the synthetic slices of one patient by region.

    Attributes:
        method: the column of the ablation.
        generator_seed: of its training.
        patient: its name.
        scores: by key of the metric; NaN for a region that the patient lacks.
    """

    method: str
    generator_seed: int
    patient: str
    scores: dict[str, float]


def case_table(cases: Iterable[SegmentationCase | ImageCase | RegionCase]) -> pd.DataFrame:
    """One row per case; ``scores`` becomes one column per metric in its place.

    >>> case_table([ImageCase("pivm", 1, "p1", 15, {"ssim": 0.5})]).to_dict("records")
    [{'method': 'pivm', 'generator_seed': 1, 'patient': 'p1', 'slices': 15, 'ssim': 0.5}]
    """
    rows = []
    for case in cases:
        row = {}
        for field in fields(case):
            value = getattr(case, field.name)
            row |= value if field.name == "scores" else {field.name: value}
        rows.append(row)
    return pd.DataFrame(rows)


def read_cases(path: Path) -> pd.DataFrame:
    """Cases as :func:`case_table` wrote them: an empty cell is a score that is not defined, a patient may be ``NA``."""
    names = dict.fromkeys(("method", "patient", "scan", "label", "without"), str)
    return pd.read_csv(path, converters=names, float_precision="round_trip")
