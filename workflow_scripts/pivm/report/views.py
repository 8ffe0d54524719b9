"""Coronal and sagittal views of a synthetic volume beside the real one (Fig. 5 of the paper)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pivm.report.drawing import WINDOW, label_colours, plt
from pivm.scans.nifti import Grid

#: position of a view along its normal: the column of vertebrae for the sagittal one, the organs before it for the other
_MIDLINE = ("vertebrae_L5", "vertebrae_L4", "vertebrae_L3", "vertebrae_L2", "vertebrae_L1", "vertebrae_T12", "aorta")
_ANTERIOR = ("kidney_left", "kidney_right", "liver", "spleen", "pancreas", "stomach")


def view_positions(labels: np.ndarray, names: tuple[str, ...]) -> dict[str, int]:
    """Index of the coronal view along A and of the sagittal one along R, through the organs that show most.

    Args:
        labels: uint8 [R, A, S], k = k-th of ``names``.
        names: of the organs.
    """
    positions = {}
    for view, axis, organs in (("coronal", 1, _ANTERIOR), ("sagittal", 0, _MIDLINE)):
        inside = np.isin(labels, [k for k, name in enumerate(names, start=1) if name in organs])
        voxels = np.argwhere(inside if inside.any() else labels > 0)
        positions[view] = int(np.median(voxels[:, axis])) if len(voxels) else labels.shape[axis] // 2
    return positions


def plot_views(volumes: dict[str, np.ndarray], labels: np.ndarray, names: tuple[str, ...], grid: Grid, path: Path):
    """Rows: coronal and sagittal. Columns: each volume, and the last one again with the contours of all organs.

    Args:
        volumes: title -> int16 HU [R, A, S].
        labels: uint8 [R, A, S] on the same grid, k = k-th of ``names``.
        names: of the organs.
        grid: of volumes and labels.
        path: of the PNG.
    """
    at, spacing = view_positions(labels, names), grid.spacing
    *_, last = volumes
    columns = [*((title, hu, False) for title, hu in volumes.items()), (f"{last}, organ contours", volumes[last], True)]
    height = grid.shape[2] * spacing[2]
    sides = {"coronal": grid.shape[0] * spacing[0], "sagittal": grid.shape[1] * spacing[1]}
    scale = 3.4 / max(height, *sides.values())
    figure, axes = plt.subplots(
        2,
        len(columns),
        figsize=(max(sides.values()) * scale * len(columns) + 0.4, 2 * height * scale + 0.5),
        squeeze=False,
    )
    colours = label_colours(len(names) + 2)
    for line, view in enumerate(("coronal", "sagittal")):
        # as radiologists look at them: the patient's right on the left (coronal), anterior on the left (sagittal)
        def cut(volume, view=view):
            return (volume[::-1, at[view]] if view == "coronal" else volume[at[view], ::-1]).T

        extent = (0, sides[view], 0, height)
        for axis, (title, hu, contours) in zip(axes[line], columns, strict=True):
            axis.imshow(cut(hu), cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1], origin="lower", extent=extent)
            if contours:
                _contours(axis, cut(labels), colours, extent)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_facecolor("black")
            if line == 0:
                axis.set_title(title, fontsize=11)
        axes[line, 0].set_ylabel(view, fontsize=10)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _contours(axis, labels: np.ndarray, colours: np.ndarray, extent: tuple[float, ...]) -> None:
    for k in np.unique(labels[labels > 0]):
        axis.contour(labels == k, [0.5], colors=[colours[k]], linewidths=1.1, origin="lower", extent=extent)
