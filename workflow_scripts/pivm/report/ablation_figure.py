"""Slices generated from all labels and from fewer, beside the real ones (Fig. 6 of the paper)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pivm.cohort.prior import Prior
from pivm.evaluation.image_metrics.ssim import ssim
from pivm.evaluation.paired import PairedSlices
from pivm.report.drawing import draw, mark_scale, mark_sides, present, slice_grid, tag, what_is_shown
from pivm.report.forms import method_title
from pivm.report.words import Words


def plot_ablation(
    pairs: PairedSlices,
    priors: dict[str, Prior],
    window: tuple[float, float],
    words: Words,
    path: Path,
    lines: int = 4,
) -> None:
    """A row per slice: the CT, then for every method its label map and its slice.

    Args:
        pairs: real and synthetic slices of held-out patients.
        priors: method -> organ means of its generator, which know the labels it is given.
        window: HU range of the SSIM below each synthetic slice, that of Table 1.
        words: of the scans.
        path: of the PNG.
        lines: slices shown, one per patient, from the pelvis of the first to the upper abdomen of the last.
    """
    patients = list(pairs.patients())[:lines]
    titles = [words.ct]
    for method, _ in pairs.synthetic:
        titles += [f"{method_title(method)}: label map", f"{method_title(method)}: PIVM"]
    shares = 0.15 + 0.6 * np.arange(len(patients)) / max(len(patients) - 1, 1)
    picked = [p[int(share * (len(p) - 1))] for (_, p), share in zip(patients, shares, strict=True)]
    names = max((prior.names for prior in priors.values()), key=len)
    organs = present(names, (pairs.store.labels[pairs.rows[position]] for position in picked))
    note = what_is_shown(pairs.store.hu.shape[-1], words.adjective, window)
    with slice_grid(titles, len(patients), 1.7, organs, note, path) as axes:
        for line, position in zip(axes, picked, strict=True):
            _draw_line(line, pairs, priors, window, position)


def _draw_line(
    line: np.ndarray, pairs: PairedSlices, priors: dict[str, Prior], window: tuple[float, float], position: int
) -> None:
    store, row = pairs.store, pairs.rows[position]
    hu, body = np.asarray(store.hu[row]), np.asarray(store.body[row])
    draw(line[0], "hu", hu)
    for i, ((method, _), made) in enumerate(pairs.synthetic.items()):
        labels, picture = line[1 + 2 * i : 3 + 2 * i]
        draw(labels, "labels", priors[method].label_map(store.labels[[row]], body[None])[0], priors[method].names)
        synthetic = np.asarray(made[position])
        draw(picture, "hu", synthetic)
        tag(picture, f"SSIM {ssim(hu[None], synthetic[None], body[None], window).whole:.2f}")
    mark_sides(line[0])
    mark_scale(line[0], store.index["pixel_mm"][row])
    line[0].set_ylabel(f"{store.index['subject'][row]}\nslice {store.index['z'][row]}", fontsize=7.5)
