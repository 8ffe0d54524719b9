"""Real, prior, variation and synthetic slices side by side (Figs. 3 and 4 of the paper)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.report.drawing import draw, plt
from pivm.report.forms import method_title


def plot_panel(store: SliceStore, prior: Prior, folders: dict[str, Path], path: Path, rows: int = 4) -> None:
    """Real slice, labels, prior, real variation, and each generator's variation and slice for the same label map.

    The slices come from the synthetic training sets, so the label maps are those of training patients; rows
    are spread from the lowest to the highest slice that all generators have made.

    Args:
        store: the slice store of the run.
        prior: organ means of the run.
        folders: generator -> folder of its synthetic slices.
        path: of the PNG.
        rows: label maps shown.
    """
    index = {
        g: read_patient_csv(f / "index.csv").drop_duplicates("source_row").set_index("source_row")
        for g, f in folders.items()
    }
    shared = sorted(set.intersection(*(set(table.index) for table in index.values())))
    by_height = sorted(shared, key=lambda r: _relative_height(store, r))
    picks = [by_height[int(f * (len(by_height) - 1))] for f in np.linspace(0.12, 0.92, min(rows, len(by_height)))][::-1]
    synthetic = {g: np.load(f / "hu.npy", mmap_mode="r", allow_pickle=False) for g, f in folders.items()}
    titles = ["Real CT", "Labels", "Prior", "Real variation"]
    titles += [f"{method_title(g)}{kind}" for g in folders for kind in (" variation", "")]
    figure, axes = plt.subplots(
        len(picks), len(titles), figsize=(2 * len(titles), 2.02 * len(picks) + 0.9), squeeze=False
    )
    for line, row in enumerate(picks):
        label_map = prior.label_map(store.labels[[row]], store.body[[row]])
        hu = np.asarray(store.hu[row])
        images = [("hu", hu), ("labels", label_map[0]), ("hu", prior.map(label_map)[0])]
        images.append(("variation", prior.variation(store.hu[[row]], label_map)[0]))
        for g in folders:
            synthetic_hu = np.asarray(synthetic[g][index[g].loc[row, "row"]])
            images += [("variation", prior.variation(synthetic_hu[None], label_map)[0]), ("hu", synthetic_hu)]
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
        bar = figure.colorbar(image, cax=figure.add_axes((x, 0.06, 0.3, 0.018)), orientation="horizontal")
        bar.set_label(label, fontsize=9)
        bar.ax.tick_params(labelsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _relative_height(store: SliceStore, row: int) -> float:
    of_subject = store.index["subject"] == store.index["subject"][row]
    z = store.index.loc[of_subject, "z"]
    return (store.index["z"][row] - z.min()) / max(z.max() - z.min(), 1)
