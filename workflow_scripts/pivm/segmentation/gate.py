"""The gate: synthetic slices are judged by segmenters of real slices and by their HU before they are used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pivm.cohort.store import SliceStore
from pivm.errors import CohortError
from pivm.synthesis.copies import Limits
from pivm.synthesis.settings import GateSettings

#: halves of the training patients: a segmenter of one half judges what was made from the label maps of the other
FOLDS = 2
REASONS = ("organs_missing", "hu_outside")


def fold_of(patients: Sequence[str], fold: int) -> set[str]:
    """The patients of one half, every other one of the sorted names."""
    return set(sorted(set(patients))[fold::FOLDS])


def judges(split: pd.DataFrame, source_subjects: np.ndarray) -> np.ndarray:
    """The half whose segmenter judges each slice: never that of the person whose label map it was made from.

    A person who is in neither half, as his or her labels alone serve, is judged by the first.

    Args:
        split: of the training, as :func:`pivm.cohort.split.split_table` reads it.
        source_subjects: of each slice.

    Returns:
        int [N].
    """
    first = fold_of(split.loc[split["split"] == "train", "patient"].tolist(), 0)
    patient_of = dict(zip(split["subject"], split["patient"], strict=True))
    return np.array([1 if patient_of[subject] in first else 0 for subject in source_subjects])


def organ_medians(hu: np.ndarray, labels: np.ndarray, classes: int, min_pixels: int) -> np.ndarray:
    """Median HU of each organ in each slice.

    Args:
        hu: int16 [N, H, W].
        labels: uint8 [N, H, W].
        classes: labels, background included.
        min_pixels: an organ with fewer has no median.

    Returns:
        float64 [N, classes], NaN where an organ has no median, and for the background.
    """
    medians = np.full((len(hu), classes), np.nan)
    for i in range(len(hu)):
        counts = np.bincount(labels[i].ravel(), minlength=classes)
        for organ in np.flatnonzero(counts[1:] >= min_pixels) + 1:
            medians[i, organ] = np.median(hu[i][labels[i] == organ])
    return medians


def hu_limits(store: SliceStore, classes: int, settings: GateSettings) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest median HU of each organ that passes, float64 [classes]; NaN where no real slice has it."""
    rows = store.rows("train")
    medians = organ_medians(store.hu[rows], store.labels[rows], classes, settings.min_pixels)
    known = ~np.isnan(medians).all(0)
    limits = np.full((2, classes), np.nan)
    ends = [settings.hu_percentile, 100 - settings.hu_percentile]
    limits[:, known] = np.nanpercentile(medians[:, known], ends, axis=0)
    return limits[0], limits[1]


def score(
    hu: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    limits: tuple[np.ndarray, np.ndarray],
    settings: GateSettings,
) -> pd.DataFrame:
    """Scores of synthetic slices.

    Args:
        hu: int16 [N, H, W].
        labels: uint8 [N, H, W], that they were made from.
        predicted: uint8 [N, H, W], what the judging segmenter sees in them.
        limits: as :func:`hu_limits`.
        settings: what counts.

    Returns:
        One row per slice: ``organs`` that are judged, ``dice`` of label and prediction over them (NaN without any), the
        shares ``organs_missing`` and ``hu_outside`` of them, and ``keep``.
    """
    classes, (low, high), rows = len(limits[0]), limits, []
    medians = organ_medians(hu, labels, classes, settings.min_pixels)
    for truth, found, median in zip(labels, predicted, medians, strict=True):
        organs = np.flatnonzero(~np.isnan(median))
        both = np.bincount(truth[truth == found], minlength=classes)[organs]
        sizes = [np.bincount(mask.ravel(), minlength=classes)[organs] for mask in (truth, found)]
        missing = both < settings.organ_found * sizes[0]
        outside = (median[organs] < low[organs]) | (median[organs] > high[organs])
        rows.append(
            {
                "organs": len(organs),
                "dice": float(np.mean(2 * both / (sizes[0] + sizes[1]))) if len(organs) else np.nan,
                "organs_missing": float(missing.mean()) if len(organs) else 0.0,
                "hu_outside": float(outside.mean()) if len(organs) else 0.0,
            }
        )
    table = pd.DataFrame(rows, columns=["organs", "dice", *REASONS])
    table["keep"] = (table["organs_missing"] <= settings.organs_missing) & (table["hu_outside"] <= settings.hu_outside)
    return table


def drop_copies(table: pd.DataFrame, distances: Sequence[pd.DataFrame], settings: GateSettings) -> pd.DataFrame:
    """Scores with column ``copy``; a copy of a training patient is not kept.

    Args:
        table: of :func:`score`.
        distances: of :func:`pivm.synthesis.copies.measure_all`: of real slices, of those of the table in their order,
            and of those made from label maps of validation patients.
        settings: ``copy_percentile`` of fresh slices is as near as a copy.

    Raises:
        ValueError: ``copy_percentile`` is None: copies are not looked for.
    """
    if settings.copy_percentile is None:
        raise ValueError("copy_percentile is None")
    real, mine, held_out = distances
    copy = Limits.fit(pd.concat([real, held_out]), settings.copy_percentile).copies(mine)
    return table.assign(copy=copy, keep=table["keep"].to_numpy() & ~copy)


def require_some(table: pd.DataFrame, settings: GateSettings, name: str) -> None:
    """Raises CohortError, with the count for each reason, where the gate drops every slice."""
    if table["keep"].any():
        return
    counts = ", ".join(f"{reason} {(table[reason] > getattr(settings, reason)).sum()}" for reason in REASONS)
    if "copy" in table:
        counts += f", copy {table['copy'].sum()}"
    raise CohortError(
        f"{name}: the gate (synthesis.keep) drops all {len(table)} slices: {counts}; raise the shares that it allows, "
        "train the generator for longer, or set synthesis.keep: null"
    )


def drop_at_random(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The control: the same number of slices is kept, chosen without looking at them."""
    kept = np.random.default_rng(seed).permutation(len(table))[: int(table["keep"].sum())]
    return table.assign(keep=np.isin(np.arange(len(table)), kept))
