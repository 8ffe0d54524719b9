"""Slices generated from all labels and from fewer, beside the real ones (Fig. 6 of the paper)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pivm.cohort.prior import Prior
from pivm.evaluation.paired import PairedSlices
from pivm.report.drawing import draw, plt
from pivm.report.forms import method_title


def plot_ablation(pairs: PairedSlices, priors: dict[str, Prior], path: Path, lines: int = 4) -> None:
    """A row per slice: real CT, then for every method its label map and its slice.

    Args:
        pairs: real and synthetic slices of held-out patients.
        priors: method -> organ means of its generator, which know the labels it is given.
        path: of the PNG.
        lines: slices shown, one per patient, from the pelvis of the first to the upper abdomen of the last.
    """
    store, patients = pairs.store, list(pairs.patients())[:lines]
    titles = ["Real CT"]
    for method, _ in pairs.synthetic:
        titles += [f"{method_title(method)}: label map", f"{method_title(method)}: PIVM"]
    shape = (len(patients), len(titles))
    figure, axes = plt.subplots(*shape, figsize=(2.3 * shape[1] + 0.3, 2.3 * shape[0] + 0.3), squeeze=False)
    for line, (patient, positions) in enumerate(patients):
        share = 0.15 + 0.6 * line / max(len(patients) - 1, 1)
        position = positions[int(share * (len(positions) - 1))]
        row = pairs.rows[position]
        images = [("hu", np.asarray(store.hu[row]), 0)]
        for (method, _), hu in pairs.synthetic.items():
            label_map = priors[method].label_map(store.labels[[row]], store.body[[row]])[0]
            images += [("labels", label_map, priors[method].classes), ("hu", np.asarray(hu[position]), 0)]
        for axis, title, (kind, image, classes) in zip(axes[line], titles, images, strict=True):
            draw(axis, kind, image, classes)
            if line == 0:
                axis.set_title(title, fontsize=11)
        axes[line, 0].set_ylabel(f"{patient}\nslice {store.index['z'][row]}", fontsize=9)
    figure.subplots_adjust(left=0.05, right=0.995, top=0.94, bottom=0.01, wspace=0.03, hspace=0.03)
    figure.savefig(path, dpi=130)
    plt.close(figure)
