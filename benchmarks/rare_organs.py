"""How often slices and organs come under `segmentation.rare_organs`, beside repeat factors by slices as in LVIS.

    snakemake --cores all results/phantom/store/labels.npy
    python benchmarks/rare_organs.py [--store results/phantom/store] [--thresholds 0.01 0.3 1]

One line per rule and threshold, over the training slices: the least, median and largest weight of a slice, and how many
times as often as before the six smallest organs are seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common import ROOT, report
from pivm.cohort.store import LabelStore
from pivm.labels import ORGANS_34
from pivm.segmentation.drawing_slices import repeat_factors


def by_slices(pixels: np.ndarray, threshold: float) -> np.ndarray:
    """Repeat factors where the frequency of an organ is the share of the slices that show it."""
    shown = pixels > 0
    factors = np.maximum(1, np.sqrt(threshold / np.maximum(shown.mean(0), 1e-9)))
    return np.where(shown, factors, 1.0).max(1)


def main(options: argparse.Namespace) -> None:
    store = LabelStore(options.store)
    rows = store.rows("train")
    pixels = np.stack([np.bincount(store.labels[row].ravel(), minlength=len(ORGANS_34) + 1)[1:] for row in rows])
    smallest = np.argsort(pixels.sum(0))[:6]
    for rule in (repeat_factors, by_slices):
        for threshold in options.thresholds:
            weights = rule(pixels, threshold)
            weights /= weights.mean()
            seen = {ORGANS_34[organ]: float(weights[pixels[:, organ] > 0].mean()) for organ in smallest}
            low, median, high = np.percentile(weights, [0, 50, 100])
            report(
                {"rule": rule.__name__, "threshold": threshold, "least": low, "median": median, "most": high, **seen}
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=ROOT / "results/phantom/store")
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.01, 0.3, 1.0])
    main(parser.parse_args())
