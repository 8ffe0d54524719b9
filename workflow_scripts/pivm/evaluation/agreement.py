"""Whether a synthetic slice shows what its label map says, judged by segmenters that learnt from original slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pivm.evaluation.paired import PairedSlices
from pivm.segmentation.segmenter import Segmenter


def slice_agreement(pairs: PairedSlices, segmenters: Sequence[Segmenter], batch: int) -> list[dict]:
    """Agreement of every slice of every generator.

    Args:
        pairs: synthetic slices and the label maps that they were made from.
        segmenters: trained on original slices; their agreements are averaged.
        batch: slices at once.

    Returns:
        Rows ``method, generator_seed, source_row, patient, dice``; ``dice`` is :func:`label_dice`.
    """
    labels = np.asarray(pairs.store.labels[pairs.rows])
    patients = pairs.store.index["patient"].to_numpy()[pairs.rows]
    rows = []
    for run, hu in pairs.synthetic.items():
        found = [segmenter.predict(hu, batch) for segmenter in segmenters]
        for i, row in enumerate(pairs.rows):
            dice = float(np.mean([label_dice(labels[i], one[i]) for one in found]))
            rows.append({"method": run.method, "generator_seed": run.seed, "source_row": int(row)})
            rows[-1] |= {"patient": patients[i], "dice": dice}
    return rows


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
