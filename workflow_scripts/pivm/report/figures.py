"""Figures: each table as a plot, and the panel of real, prior, variation and synthetic slices."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from pivm.evaluation.metrics import METRICS, TITLES
from pivm.evaluation.statistics import per_patient
from pivm.prior import Prior
from pivm.report.drawing import draw, method_colour, plt
from pivm.report.forms import CAPTIONS, method_title
from pivm.slices import SliceStore, read_names


def plot_table(tidy: pd.DataFrame, cases: pd.DataFrame, table: str, confidence: float, path: Path) -> None:
    """One axis per metric: patients as linked points, the mean with its interval beside them."""
    # a metric that is taken over all patients together has no points
    metrics = [m for m in dict.fromkeys(tidy["metric"]) if m in cases]
    methods = list(dict.fromkeys(tidy["method"]))
    patients = per_patient(cases, metrics)
    width = max(3.1, 0.85 * len(methods))
    figure, axes = plt.subplots(1, len(metrics), figsize=(width * len(metrics), 4), squeeze=False)
    for axis, metric in zip(axes[0], metrics, strict=True):
        wide = patients.pivot(index="patient", columns="method", values=metric)[methods]
        x = np.arange(len(methods))
        axis.plot(x, wide.to_numpy().T, color="0.82", lw=0.8, marker="o", ms=3, zorder=1)
        part = tidy[tidy["metric"] == metric].set_index("method").loc[methods]
        for i, method in enumerate(methods):
            row = part.loc[method]
            spread = [[row["mean"] - row["ci_low"]], [row["ci_high"] - row["mean"]]]
            spread = None if pd.isna(row["ci_low"]) else spread
            axis.errorbar(
                i,
                row["mean"],
                spread,
                fmt="D",
                ms=7,
                capsize=5,
                lw=2,
                color=method_colour(i),
                zorder=3,
            )
        unit, better = METRICS[metric]
        axis.set_title(textwrap.fill(TITLES[metric] + (" (mm)" if unit == "mm" else ""), 26), fontsize=11)
        axis.set_xlabel(f"{better} is better", fontsize=9, color="0.35")
        axis.set_xticks(x, [method_title(m).replace(" ", "\n") for m in methods], fontsize=9)
        axis.set_xlim(-0.5, len(methods) - 0.5)
        axis.margins(y=0.12)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="0.92")
    count = patients["patient"].nunique()
    bars = f"Diamonds: mean, {confidence:.0%} bootstrap interval" if count > 1 else "Diamonds: mean"
    figure.suptitle(CAPTIONS[table], fontsize=11.5)
    figure.text(
        0.5, 0.01, f"Grey: {count} test patient{'s' * (count > 1)}. {bars}.", ha="center", fontsize=9, color="0.35"
    )
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(path, dpi=130)
    plt.close(figure)


def plot_panel(store: SliceStore, prior: Prior, folders: dict[str, Path], path: Path, rows: int = 4) -> None:
    """Real slice, labels, prior, real variation, and each generator's variation and slice for the same label map.

    The slices come from the synthetic training sets, so the label maps are those of training patients; rows
    are spread from the lowest to the highest slice that all generators have made.

    Args:
        folders: generator -> folder of its synthetic slices.
    """
    index = {
        g: read_names(f / "index.csv").drop_duplicates("source_row").set_index("source_row") for g, f in folders.items()
    }
    shared = sorted(set.intersection(*(set(table.index) for table in index.values())))
    by_height = sorted(shared, key=lambda r: _relative_height(store, r))
    picks = [by_height[int(f * (len(by_height) - 1))] for f in np.linspace(0.12, 0.92, min(rows, len(by_height)))][::-1]
    synthetic = {g: np.load(f / "hu.npy", mmap_mode="r", allow_pickle=False) for g, f in folders.items()}
    titles = ["Real CT", "Labels", "Prior", "Real variation"]
    titles += [f"{method_title(g)}{what}" for g in folders for what in (" variation", "")]
    figure, axes = plt.subplots(
        len(picks), len(titles), figsize=(2 * len(titles), 2.02 * len(picks) + 0.9), squeeze=False
    )
    for line, row in enumerate(picks):
        label_map = prior.label_map(store.labels[[row]], store.body[[row]])
        hu = np.asarray(store.hu[row])
        images = [("hu", hu), ("labels", label_map[0]), ("hu", prior.map(label_map)[0])]
        images.append(("variation", prior.variation(store.hu[[row]], label_map)[0]))
        for g in folders:
            made = np.asarray(synthetic[g][index[g].loc[row, "row"]])
            images += [("variation", prior.variation(made[None], label_map)[0]), ("hu", made)]
        for column, (kind, image) in enumerate(images):
            axis = axes[line, column]
            drawn = draw(axis, kind, image, prior.classes)
            if line == 0:
                axis.set_title(titles[column], fontsize=10)
            if kind == "hu" and column == 0:
                hu_image = drawn
            if kind == "variation":
                variation_image = drawn
        axes[line, 0].set_ylabel(f"{store.index['subject'][row]}\nslice {store.index['z'][row]}", fontsize=8)
    figure.subplots_adjust(left=0.035, right=0.995, top=0.93, bottom=0.11, wspace=0.03, hspace=0.03)
    for x, image, label in ((0.1, hu_image, "HU"), (0.55, variation_image, "variation (HU)")):
        bar = figure.colorbar(image, cax=figure.add_axes([x, 0.06, 0.3, 0.018]), orientation="horizontal")
        bar.set_label(label, fontsize=9)
        bar.ax.tick_params(labelsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _relative_height(store: SliceStore, row: int) -> float:
    own = store.index["subject"] == store.index["subject"][row]
    z = store.index.loc[own, "z"]
    return (store.index["z"][row] - z.min()) / max(z.max() - z.min(), 1)
