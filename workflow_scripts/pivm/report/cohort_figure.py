"""The cohort as a picture: slices per scan, spacing, organs present, HU of the chosen slices per split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pivm.cohort.store import SliceStore
from pivm.report.drawing import plt
from pivm.report.organ_colours import organ_colour
from pivm.report.words import Words

#: width of a histogram bin, HU, and the range that is shown
BIN_HU, SHOWN_HU = 20, (-1100, 1100)


def hu_histogram(store: SliceStore, split: str, chunk: int = 256) -> np.ndarray:
    """Share of the pixels inside the outline per HU bin, over the target slices of a split."""
    edges = np.arange(SHOWN_HU[0], SHOWN_HU[1] + 1, BIN_HU)
    counts, rows = np.zeros(len(edges) - 1, np.int64), store.rows(split)
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        counts += np.histogram(store.hu[part][store.body[part]], edges)[0]
    return counts / max(counts.sum(), 1)


def plot_cohort(selection: pd.DataFrame, labels: pd.DataFrame, store: SliceStore, words: Words, path: Path) -> None:
    """Write the figure.

    Args:
        selection: table of :mod:`pivm.cohort.split`, one row per scan.
        labels: table of :mod:`pivm.cohort.split`, one row per label.
        store: the slice store of the run.
        words: of the scans.
        path: of the PNG.
    """
    used = selection[selection["status"] == "selected"]
    figure, axes = plt.subplots(2, 2, figsize=(11, 7))
    slices, organs, spacing, hu = axes[0, 0], axes[1, 0], axes[0, 1], axes[1, 1]
    slices.hist(used["axial_slices"].astype(int), bins=20, color="0.4")
    slices.set(xlabel="axial slices of a scan", ylabel="scans")
    slices.set_title("; ".join(f"{n} {status}" for status, n in selection["status"].value_counts().items()))
    mm = used["spacing_mm"].str.split("x", expand=True).astype(float)
    spacing.scatter(mm[0], mm[2], s=12, color="0.3", alpha=0.6)
    spacing.set(xlabel="in-plane spacing (mm)", ylabel="slice spacing (mm)", title="Spacing")
    colours = [organ_colour(name) for name in labels["label"]]
    organs.bar(
        np.arange(len(labels)), labels["patients"] / max(used["patient"].nunique(), 1), color=colours, ec="0.4", lw=0.4
    )
    organs.set_xticks(np.arange(len(labels)), labels["label"].str.replace("_", " "), rotation=90, fontsize=7)
    organs.set(ylabel="share of patients", ylim=(0, 1.02), title="Labels present")
    centres = np.arange(*SHOWN_HU, BIN_HU) + BIN_HU / 2
    for split in dict.fromkeys(store.index["split"]):
        hu.plot(centres, hu_histogram(store, split), label=split, lw=1)
    hu.set(xlabel="HU", ylabel="share of pixels", yscale="log", title="HU inside the outline, chosen slices")
    hu.legend()
    patients = used["patient"].nunique()
    figure.suptitle(f"{patients} {words.patient}{'s' * (patients != 1)}", fontsize=12)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
