"""Coronal and sagittal views of a synthetic volume beside the real one (Fig. 5 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pivm.report.drawing import (
    WINDOW,
    WINDOW_TEXT,
    legend_inches,
    mark_scale,
    mark_sides,
    organ_legend,
    plt,
    present,
    tag,
)
from pivm.report.organ_colours import label_colours
from pivm.scans.inplane import AIR_HU, InPlane
from pivm.scans.nifti import Grid

#: position of a view along its normal: the column of vertebrae for the sagittal one, the organs before it for the other
_MIDLINE = ("vertebrae_L5", "vertebrae_L4", "vertebrae_L3", "vertebrae_L2", "vertebrae_L1", "vertebrae_T12", "aorta")
_ANTERIOR = ("kidney_left", "kidney_right", "liver", "spleen", "pancreas", "stomach")


class View(NamedTuple):
    """A volume of the figure.

    Attributes:
        title: above it.
        resolution: what it was scanned or made at, below its title.
        hu: int16 [R, A, S].
    """

    title: str
    resolution: str
    hu: np.ndarray


def volumes_of(
    real: np.ndarray | None, synthetic: np.ndarray, grid: Grid, size: int, ct: str, method: str
) -> list[View]:
    """The CT, the CT at the pixels of the generator where these are fewer, and the synthetic volume.

    Args:
        real: int16 HU [R, A, S]; None where the source has labels alone.
        synthetic: likewise.
        grid: of both.
        size: pixels per side of a slice of the generator.
        ct: heading of the CT.
        method: heading of the generator.
    """
    plane = InPlane(grid.shape[:2], grid.spacing[:2], size)
    coarse = f"{size} × {size} pixels of {plane.pixel_mm:.1f} mm"
    made = View(method, f"made at {coarse}", synthetic)
    if real is None:
        return [made]
    views = [View(ct, f"{grid.shape[0]} × {grid.shape[1]} pixels of {grid.spacing[0]:.1f} mm", real), made]
    if plane.pixel_mm > 1.1 * min(grid.spacing[:2]):
        shown = plane.restore(plane.standardise(real, AIR_HU, smooth=True))
        views.insert(1, View(f"{ct}, coarse", f"at {coarse}", shown))
    return views


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


def plot_views(views: Sequence[View], labels: np.ndarray, names: tuple[str, ...], grid: Grid, path: Path) -> None:
    """Rows: coronal and sagittal. Columns: each volume, and the last one again with the contours of all organs.

    Args:
        views: the volumes on one grid.
        labels: uint8 [R, A, S] on the same grid, k = k-th of ``names``.
        names: of the organs.
        grid: of volumes and labels.
        path: of the PNG.
    """
    at, (sides, height) = view_positions(labels, names), _extent(grid)
    columns = [
        *((view, False) for view in views),
        (View(views[-1].title, "with the contours of its labels", views[-1].hu), True),
    ]
    organs = present(names, (_cut(labels, view, at[view]) for view in sides))
    side_inches = 2.0
    width = side_inches * len(columns) + 0.1
    foot = 0.35 + legend_inches(organs, width)
    # a short scan keeps room for its letters
    tall = max(side_inches * height / max(sides.values()), 0.6)
    size = (width, 2 * tall + 0.5 + foot)
    figure, axes = plt.subplots(2, len(columns), figsize=size, squeeze=False)
    for line, (name, side) in zip(axes, sides.items(), strict=True):
        extent = (0, side, 0, height)
        for axis, (view, contours) in zip(line, columns, strict=True):
            axis.imshow(
                _cut(view.hu, name, at[name]),
                cmap="gray",
                vmin=WINDOW[0],
                vmax=WINDOW[1],
                origin="lower",
                extent=extent,
            )
            if contours:
                _contours(axis, _cut(labels, name, at[name]), names, extent)
            axis.set(xticks=[], yticks=[], facecolor="black")
            if name == "coronal":
                axis.set_title(f"{view.title}\n{view.resolution}", fontsize=7.5)
        # as radiologists look at them: the patient's right on the left (coronal), anterior on the left (sagittal)
        mark_sides(line[0], *(("R", "L") if name == "coronal" else ("A", "P")), top="S")
        mark_scale(line[0], 1)
        tag(line[0], name)
    figure.subplots_adjust(
        left=0.005, right=0.995, top=1 - 0.42 / size[1], bottom=foot / size[1], wspace=0.03, hspace=0.04
    )
    figure.text(0.5, (foot - 0.2) / size[1], WINDOW_TEXT, ha="center", fontsize=7)
    organ_legend(figure, organs, 0, body=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _extent(grid: Grid) -> tuple[dict[str, float], float]:
    """Width of each view and their common height, mm."""
    widths = {"coronal": grid.shape[0] * grid.spacing[0], "sagittal": grid.shape[1] * grid.spacing[1]}
    return widths, grid.shape[2] * grid.spacing[2]


def _cut(volume: np.ndarray, view: str, at: int) -> np.ndarray:
    """The plane of a view, [S, width]."""
    return (volume[::-1, at] if view == "coronal" else volume[at, ::-1]).T


def _contours(axis, labels: np.ndarray, names: tuple[str, ...], extent: tuple[float, ...]) -> None:
    colours = label_colours(names)
    for k in np.unique(labels[labels > 0]):
        axis.contour(labels == k, [0.5], colors=[colours[k]], linewidths=1.0, origin="lower", extent=extent)
