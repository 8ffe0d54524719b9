"""Zoomed comparison of real and synthetic slices of test patients (Fig. 4 of the paper)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.patches import Rectangle

from pivm.cohort.prior import Prior
from pivm.evaluation.paired import PairedSlices
from pivm.report.drawing import draw, plt
from pivm.report.forms import method_title

#: side of the detail as a share of the slice
ZOOM = 0.36


class Detail(NamedTuple):
    """A square of a slice, in pixels."""

    top: int
    left: int
    side: int


def plot_zoom(pairs: PairedSlices, prior: Prior, path: Path, patients: int = 3) -> None:
    """Two rows per patient, the slice with the most organs and a detail of it: real CT, labels, each generator.

    Args:
        pairs: real and synthetic slices of test patients.
        prior: organ means of the run.
        path: of the PNG.
        patients: shown, evenly chosen.
    """
    store, by_patient = pairs.store, dict(pairs.patients())
    chosen = [list(by_patient)[i] for i in np.unique(np.linspace(0, len(by_patient) - 1, patients).round().astype(int))]
    titles = ["Real CT", "Labels", *(method_title(run.method) for run in pairs.synthetic)]
    shape = (2 * len(chosen), len(titles))
    figure, axes = plt.subplots(*shape, figsize=(2.1 * shape[1] + 0.3, 2.1 * shape[0] + 0.4), squeeze=False)
    for line, patient in enumerate(chosen):
        positions = by_patient[patient]
        organs = [len(np.unique(store.labels[pairs.rows[i]])) for i in positions]
        position = positions[int(np.argmax(organs))]
        row = pairs.rows[position]
        label_map = prior.label_map(store.labels[[row]], store.body[[row]])[0]
        images = [("hu", np.asarray(store.hu[row])), ("labels", label_map)]
        images += [("hu", np.asarray(hu[position])) for hu in pairs.synthetic.values()]
        top, left, side = detail(np.asarray(store.labels[row]))
        for column, (kind, image) in enumerate(images):
            whole, zoomed = axes[2 * line, column], axes[2 * line + 1, column]
            draw(whole, kind, image, prior.classes)
            whole.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec="#ffd400", lw=1.4))
            draw(zoomed, kind, image[top : top + side, left : left + side], prior.classes)
            zoomed.spines[:].set(color="#ffd400", linewidth=1.6)
            if line == 0:
                whole.set_title(titles[column], fontsize=11)
        axes[2 * line, 0].set_ylabel(f"{patient}\nslice {store.index['z'][row]}", fontsize=9)
        axes[2 * line + 1, 0].set_ylabel("detail", fontsize=9)
    top = 1 - 0.34 / figure.get_figheight()
    figure.subplots_adjust(left=0.05, right=0.995, top=top, bottom=0.01, wspace=0.03, hspace=0.03)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def detail(labels: np.ndarray) -> Detail:
    """The square with the most organs and, among those, the most organ pixels.

    Args:
        labels: [H, W], 0 = background.
    """
    side = max(round(ZOOM * labels.shape[0]), 2)
    organs = [labels == k for k in np.unique(labels) if k]
    windows = np.lib.stride_tricks.sliding_window_view
    count = sum(windows(organ, (side, side)).any((2, 3)).astype(float) for organ in organs)
    filled = windows(labels > 0, (side, side)).mean((2, 3))
    best = np.argmax(count + filled / 2)
    row, column = np.unravel_index(best, filled.shape)
    return Detail(int(row), int(column), side)
