"""Texture inside organs: how rough it is, over how many pixels it holds together, how much patients differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from pivm.evaluation.paired import PairedSlices
from pivm.labels import LabelSet

#: columns of ``tables/organ_texture.csv``
ORGAN_TEXTURE = [
    *("organ", "method", "patients", "slices", "real_inside", "inside", "real_correlation", "correlation"),
    *("real_between", "between", "generator_seeds"),
]
#: pixels of an organ in a slice, without those at its rim, from which on its texture is measured
LEAST = 20


class Texture(NamedTuple):
    """Of one organ in some slices.

    Attributes:
        inside: standard deviation of HU in a slice, mean over slices.
        correlation: of HU next to each other, less the mean of the organ in the slice, over all slices.
        between: standard deviation over patients of the organ's mean HU; NaN for one patient.
    """

    inside: float
    correlation: float
    between: float


def compare_organ_texture(pairs: PairedSlices, label_set: LabelSet) -> pd.DataFrame:
    """Compare the texture inside each organ, its rim of one pixel left out, where edges and partial volumes are.

    Args:
        pairs: real and synthetic slices of held-out patients.
        label_set: of the run.

    Returns:
        Columns :data:`ORGAN_TEXTURE`, one row per method and organ that is large enough in some slice; means over
        trainings of a generator. See :class:`Texture`.
    """
    labels = np.asarray(pairs.store.labels[pairs.rows])
    real = np.asarray(pairs.store.hu[pairs.rows])
    patients = pairs.store.index["patient"].to_numpy()[pairs.rows]
    methods = dict.fromkeys(run.method for run in pairs.synthetic)
    rows = []
    for k, organ in enumerate(label_set.names, start=1):
        core = ndimage.binary_erosion(labels == k, np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool))
        core &= (np.count_nonzero(core, axis=(1, 2)) >= LEAST)[:, None, None]
        shown = np.flatnonzero(core.any((1, 2)))
        if not shown.size:
            continue
        own, mask = patients[shown], core[shown]
        truth = texture(real[shown], mask, own)
        for method in methods:
            runs = [hu for run, hu in pairs.synthetic.items() if run.method == method]
            made = Texture(*np.mean([texture(np.asarray(hu)[shown], mask, own) for hu in runs], axis=0))
            both = [value for pair in zip(truth, made, strict=True) for value in pair]
            rows.append((organ, method, len(set(own)), len(shown), *both, len(runs)))
    return pd.DataFrame(rows, columns=ORGAN_TEXTURE)


def texture(hu: np.ndarray, core: np.ndarray, patients: np.ndarray) -> Texture:
    """Texture of an organ.

    Args:
        hu: int16 [N, H, W].
        core: bool [N, H, W], its pixels, some in every slice.
        patients: of each slice.
    """
    values = np.where(core, hu, 0).astype(float)
    counts = core.sum((1, 2))
    means = values.sum((1, 2)) / counts
    rest = np.where(core, hu - means[:, None, None], 0.0)
    inside = np.sqrt((rest**2).sum((1, 2)) / counts)
    products, squares = 0.0, 0.0
    for (one, next_to), held in zip(_neighbours(rest), _neighbours(core), strict=True):
        both = np.logical_and(*held)
        products += float((one * next_to)[both].sum())
        squares += float((one**2 + next_to**2)[both].sum()) / 2
    pixels = pd.DataFrame({"patient": patients, "hu": means * counts, "count": counts}).groupby("patient").sum()
    of_patient = pixels["hu"] / pixels["count"]
    return Texture(float(inside.mean()), products / squares if squares else np.nan, float(of_patient.std()))


def _neighbours(array: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Views of the pixels [N, H, W] and of those next to them, down and across."""
    return (array[:, :-1], array[:, 1:]), (array[:, :, :-1], array[:, :, 1:])
