"""The facts of one CT series: a regular stack of slices, one per file or all in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: slices may lie this share of a step off a regular stack
UNEVEN_STEP = 0.1


@dataclass(frozen=True)
class Slice:
    """The facts of one slice, checked.

    Attributes:
        path: of the file.
        uid: of the object.
        rows, columns: pixels.
        spacing: mm between rows and between columns.
        orientation: float [2, 3], directions along a row and along a column in LPS.
        position: float [3], centre of the first pixel in LPS, mm.
        slope, intercept: from stored values to HU.
        frame: UID of the frame of reference.
        series: UID of the series.
        patient: PatientID.
    """

    path: Path
    uid: str
    rows: int
    columns: int
    spacing: np.ndarray
    orientation: np.ndarray
    position: np.ndarray
    slope: float
    intercept: float
    frame: str
    series: str
    patient: str


@dataclass(frozen=True)
class Series:
    """The slices of one CT series, lowest position along the normal first.

    Attributes:
        name: of its folder, for messages.
        shape: columns, rows, slices.
        affine: index (column, row, slice) to mm in the patient's LPS coordinates.
        frame: UID of the frame of reference.
        uid: of the series.
        patient: PatientID.
        slices: one per file; empty for a multi-frame object.
        multi_frame: the file that holds all slices; ``None`` for one file per slice.
    """

    name: str
    shape: tuple[int, int, int]
    affine: np.ndarray
    frame: str
    uid: str
    patient: str
    slices: Sequence[Slice] = ()
    multi_frame: Path | None = None
