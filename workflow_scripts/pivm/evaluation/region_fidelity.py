"""What fewer labels cost (paper, section 3.5): fidelity by region, the skeleton among them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pivm.evaluation.cases import RegionCase, case_table
from pivm.evaluation.image_metrics.ssim import ssim
from pivm.evaluation.metrics import Metric
from pivm.evaluation.paired import PairedSlices
from pivm.labels import ORGANS_13, LabelSet

#: names of the labelled skeleton
SKELETON = ("vertebrae", "hip", "sacrum")
#: mean absolute error by region
REGION_METRICS = {
    key: Metric(key=key, title=title, unit="HU", better="lower", digits=1, scale="log")
    for key, title in {
        "mae_organs_13": "Error in the 13 organs",
        "mae_skeleton": "Error in vertebrae, hips, sacrum",
        "mae_other_organs": "Error in the other organs",
    }.items()
}
#: rows of the table of the ablation
ABLATION_METRICS = ("ssim", "ssim_body", *REGION_METRICS)


def regions(label_set: LabelSet) -> dict[str, list[int]]:
    """Metric -> ids of its region: the 13 labels of the ablation, the skeleton, and the other organs."""
    skeleton = [label_set.id_of(n) for n in label_set.names if n.startswith(SKELETON)]
    few = [label_set.id_of(n) for n in label_set.names if n in ORGANS_13]
    others = [k for k in range(1, len(label_set) + 1) if k not in {*skeleton, *few}]
    return {"mae_organs_13": few, "mae_skeleton": skeleton, "mae_other_organs": others}


def score_regions(pairs: PairedSlices, label_set: LabelSet, window: tuple[float, float]) -> pd.DataFrame:
    """Fidelity per method and patient.

    The mean absolute error is that of one synthetic slice against the real one, HU in the window, over all pixels
    of a region in the patient's slices; a texture that is right on average still counts.

    Args:
        pairs: real and synthetic slices of test patients.
        label_set: of the run.
        window: HU range of SSIM and errors.

    Returns:
        Columns ``method, generator_seed, patient`` and :data:`ABLATION_METRICS`.
    """
    store, cases = pairs.store, []
    for patient, positions in pairs.patients():
        rows = pairs.rows[positions]
        real = np.clip(np.asarray(store.hu[rows]).astype(np.int64), *window)
        labels, body = np.asarray(store.labels[rows]), np.asarray(store.body[rows])
        for run, hu in pairs.synthetic.items():
            synthetic = np.clip(np.asarray(hu[positions]).astype(np.int64), *window)
            similarity = ssim(real, synthetic, body, window)
            scores = {"ssim": similarity.whole, "ssim_body": similarity.inside}
            for metric, ids in regions(label_set).items():
                region = np.isin(labels, ids)
                scores[metric] = float(np.abs(synthetic - real)[region].mean()) if region.any() else np.nan
            cases.append(RegionCase(run.method, run.seed, patient, scores))
    return case_table(cases)
