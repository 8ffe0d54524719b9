"""Real, prior, variation and synthetic slices side by side (Figs. 3 and 4 of the paper)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.report.drawing import (
    WINDOW_TEXT,
    draw,
    legend_inches,
    mark_scale,
    mark_sides,
    organ_legend,
    plt,
    present,
)
from pivm.report.forms import method_title
from pivm.report.words import Words


def plot_panel(
    store: SliceStore, prior: Prior, folders: dict[str, Path], words: Words, path: Path, rows: int = 3
) -> None:
    """Per slice two lines: the CT, its labels and each generator's CT; below, the variation of each and the prior map.

    The slices are of patients that no generator saw; rows are spread from the lowest to the highest slice that all
    generators have made.

    Args:
        store: the slice store of the run.
        prior: organ means of the run.
        folders: generator -> folder of its synthetic slices of held-out patients.
        words: of the scans.
        path: of the PNG.
        rows: label maps shown.
    """
    index = {g: read_patient_csv(f / "index.csv").set_index("source_row") for g, f in folders.items()}
    shared = sorted(set.intersection(*(set(table.index) for table in index.values())))
    by_height = sorted(shared, key=lambda r: _relative_height(store, r))
    picks = [by_height[int(f * (len(by_height) - 1))] for f in np.linspace(0.12, 0.85, min(rows, len(by_height)))][::-1]
    synthetic = {g: np.load(f / "hu.npy", mmap_mode="r", allow_pickle=False) for g, f in folders.items()}
    organs = present(prior.names, (store.labels[row] for row in picks))
    columns, lines = 2 + len(folders), 2 * len(picks)
    width = 1.6 * columns + 0.45
    foot = 0.8 + legend_inches(organs, width)
    size = (width, 1.6 * lines + 0.3 + foot)
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    for axis, title in zip(axes[0], [words.ct, "Labels", *map(method_title, folders)], strict=True):
        axis.set_title(title, fontsize=9)
    for line, row in enumerate(picks):
        slices = [np.asarray(synthetic[g][index[g].loc[row, "row"]]) for g in folders]
        bars = _draw_slice(axes[2 * line : 2 * line + 2], store, prior, row, slices)
    top, bottom = 1 - 0.3 / size[1], foot / size[1]
    figure.subplots_adjust(left=0.42 / size[0], right=0.995, top=top, bottom=bottom, wspace=0.03, hspace=0.03)
    for x, image, label in zip(
        (0.08, 0.56), bars, (f"HU ({WINDOW_TEXT})", "HU above or below the prior map"), strict=True
    ):
        place = figure.add_axes((x, (foot - 0.22) / size[1], 0.36, 0.1 / size[1]))
        bar = figure.colorbar(image, cax=place, orientation="horizontal")
        bar.set_label(label, fontsize=7, labelpad=1)
        bar.ax.tick_params(labelsize=6.5, pad=1, length=2)
    organ_legend(figure, organs, 0)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_slice(axes: np.ndarray, store: SliceStore, prior: Prior, row: int, slices: list[np.ndarray]) -> tuple:
    """Draw the two lines of one slice; the drawn HU and variation, for the colour bars."""
    label_map = prior.label_map(store.labels[[row]], store.body[[row]])
    hu = np.asarray(store.hu[row])
    images = draw(axes[0, 0], "hu", hu), draw(axes[1, 0], "variation", prior.variation(hu[None], label_map)[0])
    draw(axes[0, 1], "labels", label_map[0], prior.names)
    draw(axes[1, 1], "hu", prior.map(label_map)[0])
    for (above, below), made in zip(axes[:, 2:].T, slices, strict=True):
        draw(above, "hu", made)
        draw(below, "variation", prior.variation(made[None], label_map)[0])
    for axis in axes[0, :2]:
        mark_sides(axis)
    mark_scale(axes[0, 0], store.index["pixel_mm"][row])
    style = {"transform": axes[1, 1].transAxes, "color": "white", "fontsize": 7, "ha": "center", "va": "top"}
    axes[1, 1].text(0.5, 0.97, "prior map", **style)
    side, mm = len(hu), store.index["pixel_mm"][row]
    axes[0, 0].set_ylabel(f"{store.index['subject'][row]}, slice {store.index['z'][row]}", fontsize=7)
    axes[1, 0].set_ylabel(f"variation\n{side} × {side}, {mm:.1f} mm", fontsize=7)
    return images


def _relative_height(store: SliceStore, row: int) -> float:
    of_subject = store.index["subject"] == store.index["subject"][row]
    z = store.index.loc[of_subject, "z"]
    return (store.index["z"][row] - z.min()) / max(z.max() - z.min(), 1)
