"""One picture of a CT with its labels: three planes, plain and with the organs drawn in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pivm.report.drawing import WINDOW, WINDOW_TEXT, organ_patches, plt, present
from pivm.report.organ_colours import label_colours
from pivm.report.views import view_positions
from pivm.scans.label_maps import LabelMap

#: heights of the axial slices, as shares of the labelled part of the scan from its lower end
HEIGHTS = (0.2, 0.5, 0.8)


def plot_preview(
    hu: np.ndarray, labels: LabelMap, names: tuple[str, ...], title: str, path: Path, lowest: int = 0
) -> None:
    """Three axial slices, a coronal and a sagittal one; below each the same with the organs in colour.

    As radiologists look at them: the patient's right is on the left of axial and coronal slices, the front on the left
    of sagittal ones. Letters say so: R, L (right, left), A, P (front, back), S, I (top, bottom).

    Args:
        hu: int16 [R, A, S].
        labels: on the same grid, k = k-th of ``names``.
        names: of the organs.
        title: of the picture.
        path: of the PNG.
        lowest: number of the lowest axial slice.
    """
    r, a, s = labels.grid.spacing
    at, slices = view_positions(labels.array, names), _axial_slices(labels.array)
    # title, slice as an image, mm of a row and a column, letters at the left, right, top and bottom
    cuts = [(f"axial {lowest + z}", lambda v, z=z: v[::-1, ::-1, z].T, a, r, "RLAP") for z in slices]
    cuts += [(f"coronal {at['coronal']}", lambda v: v[::-1, at["coronal"], ::-1].T, s, r, "RLSI")]
    cuts += [(f"sagittal {at['sagittal']}", lambda v: v[at["sagittal"], ::-1, ::-1].T, s, a, "APSI")]
    colours = np.array(label_colours(names), float)
    figure, axes = plt.subplots(2, len(cuts), figsize=(3 * len(cuts), 7.6), facecolor="black", squeeze=False)
    for column, (name, cut, row_mm, column_mm, letters) in enumerate(cuts):
        image, ids = cut(hu), cut(labels.array)
        for line, axis in enumerate(axes[:, column]):
            axis.imshow(image, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1], aspect=row_mm / column_mm)
            axis.set_axis_off()
            _letter(axis, letters)
            if line:
                overlay = colours[ids]
                overlay[..., 3] = 0.5 * (ids > 0)
                axis.imshow(overlay, interpolation="nearest", aspect=row_mm / column_mm)
        axes[0, column].set_title(name, color="white", fontsize=11)
    figure.legend(
        handles=organ_patches(present(names, [labels.array]), body=False),
        loc="lower center",
        ncols=7,
        fontsize=8,
        labelcolor="white",
        frameon=False,
    )
    figure.suptitle(f"{title}; {WINDOW_TEXT}", color="white", fontsize=12)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.9, bottom=0.15, wspace=0.04, hspace=0.04)
    figure.savefig(path, dpi=100, facecolor="black")
    plt.close(figure)


def _axial_slices(labels: np.ndarray) -> list[int]:
    held = np.flatnonzero(labels.any(axis=(0, 1)))
    low, high = (int(held[0]), int(held[-1])) if held.size else (0, labels.shape[2] - 1)
    return list(dict.fromkeys(round(low + share * (high - low)) for share in HEIGHTS))[::-1]


def _letter(axis, letters: str) -> None:
    places = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"), (0.5, 0.98, "center", "top"))
    for letter, (x, y, across, down) in zip(letters, (*places, (0.5, 0.02, "center", "bottom")), strict=True):
        axis.text(x, y, letter, color="#ffdd55", fontsize=9, ha=across, va=down, transform=axis.transAxes)
