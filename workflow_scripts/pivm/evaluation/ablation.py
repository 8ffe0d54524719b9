"""What fewer labels cost (paper, section 3.5): fidelity by region, the skeleton among them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pivm.evaluation.images import ssim
from pivm.evaluation.metrics import REGION_METRICS
from pivm.evaluation.paired import PairedSlices
from pivm.labels import ORGANS_13, LabelSet

#: names of the labelled skeleton
SKELETON = ("vertebrae", "hip", "sacrum")
METRICS = ("ssim", "ssim_body", *REGION_METRICS)


def regions(label_set: LabelSet) -> dict[str, list[int]]:
    """Metric -> ids of its region: the 13 labels of the ablation, the skeleton, and the other organs."""
    skeleton = [label_set.id_of(n) for n in label_set.names if n.startswith(SKELETON)]
    few = [label_set.id_of(n) for n in label_set.names if n in ORGANS_13]
    others = [k for k in range(1, len(label_set) + 1) if k not in {*skeleton, *few}]
    return {"mae_organs_13": few, "mae_skeleton": skeleton, "mae_other_organs": others}


def score_ablation(pairs: PairedSlices, label_set: LabelSet, window: tuple[float, float], seed: int) -> pd.DataFrame:
    """Fidelity per method and patient.

    The mean absolute error is that of one synthetic slice against the real one, HU in the window, over all pixels
    of a region in the patient's slices; a texture that is right on average still counts.

    Args:
        window: HU range of SSIM and errors; seed: of the synthesis, copied to the column ``seed``.

    Returns:
        Columns ``method, seed, patient`` and :data:`METRICS`.
    """
    store, rows = pairs.store, []
    for patient, own in pairs.patients():
        which = pairs.rows[own]
        real = np.clip(np.asarray(store.hu[which]).astype(np.int64), *window)
        labels, body = np.asarray(store.labels[which]), np.asarray(store.body[which])
        for method, hu in pairs.made.items():
            made = np.clip(np.asarray(hu[own]).astype(np.int64), *window)
            row = {"method": method, "seed": seed, "patient": patient}
            row["ssim"], row["ssim_body"] = ssim(real, made, body, window)
            for metric, ids in regions(label_set).items():
                inside = np.isin(labels, ids)
                row[metric] = float(np.abs(made - real)[inside].mean()) if inside.any() else np.nan
            rows.append(row)
    return pd.DataFrame(rows)
