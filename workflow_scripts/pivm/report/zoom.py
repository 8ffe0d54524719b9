"""Zoomed comparison of real and synthetic slices of test patients (Fig. 4 of the paper)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.patches import Rectangle

from pivm.cohort.prior import Prior
from pivm.evaluation.image_metrics.ssim import ssim
from pivm.evaluation.paired import PairedSlices
from pivm.report.drawing import draw, mark_scale, mark_sides, present, slice_grid, tag, what_is_shown
from pivm.report.forms import method_title
from pivm.report.words import Words

#: side of the detail as a share of the slice
ZOOM = 0.36


class Detail(NamedTuple):
    """A square of a slice, in pixels."""

    top: int
    left: int
    side: int


def plot_zoom(
    pairs: PairedSlices, prior: Prior, window: tuple[float, float], words: Words, path: Path, patients: int = 3
) -> None:
    """Two rows per patient, the slice with the most organs and a detail of it: the CT, labels, each generator.

    Args:
        pairs: real and synthetic slices of test patients.
        prior: organ means of the run.
        window: HU range of the SSIM below each synthetic slice, that of Table 1.
        words: of the scans.
        path: of the PNG.
        patients: shown, evenly chosen.
    """
    by_patient = dict(pairs.patients())
    chosen = [list(by_patient)[i] for i in np.unique(np.linspace(0, len(by_patient) - 1, patients).round().astype(int))]
    titles = [words.ct, "Labels", *(method_title(run.method) for run in pairs.synthetic)]
    picked = [_richest(pairs, by_patient[patient]) for patient in chosen]
    organs = present(prior.names, (pairs.store.labels[pairs.rows[position]] for position in picked))
    note = what_is_shown(pairs.store.hu.shape[-1], words.adjective, window)
    with slice_grid(titles, 2 * len(chosen), 1.35, organs, note, path) as axes:
        for line, position in enumerate(picked):
            _draw_patient(axes[2 * line : 2 * line + 2], pairs, prior, window, position)


def _richest(pairs: PairedSlices, positions: np.ndarray) -> int:
    """The slice with the most organs."""
    return positions[int(np.argmax([len(np.unique(pairs.store.labels[pairs.rows[i]])) for i in positions]))]


def _draw_patient(
    axes: np.ndarray, pairs: PairedSlices, prior: Prior, window: tuple[float, float], position: int
) -> None:
    store, row = pairs.store, pairs.rows[position]
    hu, body = np.asarray(store.hu[row]), np.asarray(store.body[row])
    images = [("hu", hu, ""), ("labels", prior.label_map(store.labels[[row]], body[None])[0], "")]
    for made in pairs.synthetic.values():
        synthetic = np.asarray(made[position])
        images.append(("hu", synthetic, f"SSIM {ssim(hu[None], synthetic[None], body[None], window).whole:.2f}"))
    top, left, side = detail(np.asarray(store.labels[row]))
    for (whole, zoomed), (kind, image, score) in zip(axes.T, images, strict=True):
        draw(whole, kind, image, prior.names)
        whole.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec="#ffd400", lw=1))
        draw(zoomed, kind, image[top : top + side, left : left + side], prior.names)
        zoomed.spines[:].set(color="#ffd400", linewidth=1.2)
        tag(whole, score)
    for axis in axes[0, :2]:
        mark_sides(axis, size=6)
    mark_scale(axes[0, 0], store.index["pixel_mm"][row], size=6)
    axes[0, 0].set_ylabel(f"{store.index['subject'][row]}\nslice {store.index['z'][row]}", fontsize=7)
    axes[1, 0].set_ylabel("detail", fontsize=7)


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
