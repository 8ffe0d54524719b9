"""Organ means mu_k and scales over the training split (paper, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pivm.labels import LabelSet

if TYPE_CHECKING:
    from pivm.cohort.store import SliceStore
    from pivm.scans.outline import OutlineMargins
from pivm.cohort.prior import Prior, own_ids

#: organ means are taken from intensities clipped to this range (paper, section 3.1)
CLIP_HU = (-200, 300)
#: floor of a label's own scale, HU: below the noise of any scanner
SMALLEST_SD = 5.0


def fit_prior(store: SliceStore, organs: LabelSet, kind: str, names: LabelSet | None = None, chunk: int = 256) -> Prior:
    """Organ means mu_k and scales over the target slices of the training split alone.

    All sums are integers, so that neither the order nor the number of chunks can change a mean.

    Args:
        organs: label set of the store.
        names: the organs to keep (all of them unless told; section 3.5 keeps 13).
        chunk: slices in memory at a time.
    """
    rows = store.rows("train")
    label_set = names or organs
    table = own_ids(organs, label_set)
    classes = len(label_set) + 2
    n, clipped, plain, squared = (np.zeros(classes, np.int64) for _ in range(4))
    low, high = 32767, -32768
    for start in range(0, len(rows), chunk):
        some = rows[start : start + chunk]
        hu = np.asarray(store.hu[some]).astype(np.int64)
        ids = label_set.complete(table[store.labels[some]], np.asarray(store.body[some]))
        low, high = min(low, int(hu.min())), max(high, int(hu.max()))
        for k in np.unique(ids):
            x = hu[ids == k]
            n[k] += x.size
            clipped[k] += int(np.clip(x, *CLIP_HU).sum())
            plain[k] += int(x.sum())
            squared[k] += int((x * x).sum())
    if kind == "paper":
        # body and air are one background of 0 HU
        n, clipped, plain, squared = (_merge_background(a) for a in (n, clipped, plain, squared))
    means = clipped / np.maximum(n, 1)
    if kind == "paper":
        means[0] = 0.0
    else:
        outside = [0, classes - 1]
        means[outside] = plain[outside] / np.maximum(n[outside], 1)
    total = int(n.sum())
    spread = squared - 2 * means * plain + n * means**2
    absolute_mean = int(plain.sum()) / total
    absolute_var = int(squared.sum()) / total - absolute_mean**2
    variation_sd = float(np.sqrt(spread.sum() / total))
    own_sd = np.sqrt(np.maximum(spread, 0) / np.maximum(n, 1))
    margins = train_margins(store)
    anterior, posterior, sides = map(float, margins.mean_mm)
    return Prior(
        kind=kind,
        names=label_set.names,
        organs=organs.names,
        means=tuple(float(m) for m in means),
        voxels=tuple(int(v) for v in n),
        variation_sd=variation_sd,
        organ_sd=tuple(float(sd) for sd in np.clip(own_sd, SMALLEST_SD, variation_sd)),
        absolute_mean=absolute_mean,
        absolute_sd=float(np.sqrt(absolute_var)),
        hu_range=(low, high),
        outline_margins_mm=(anterior, posterior, sides),
        outline_by_box=margins.by_box(),
    )


def train_margins(store: SliceStore) -> OutlineMargins:
    """How far the outlines of the training patients lie from their organs, of about 500 slices."""
    from pivm.scans.outline import MARGIN_SLICES, OutlineMargins  # scipy, which training and sampling do without

    rows = store.rows("train")
    rows = rows[:: max(len(rows) // MARGIN_SLICES, 1)]
    index = store.index.iloc[rows]
    pixel_mm, patients = index["pixel_mm"].to_numpy(), index["patient"].to_numpy()
    return OutlineMargins.fit(store.labels[rows], store.body[rows], pixel_mm, patients)


def _merge_background(sums: np.ndarray) -> np.ndarray:
    merged = sums[:-1].copy()
    merged[0] += sums[-1]
    return merged
