"""What all figures share: HU window, marks on pictures, legends, colours of methods, and axes of scores."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # also for the figures, behind the choice of the backend
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from pivm.evaluation.metrics import Metric
from pivm.report.organ_colours import BODY, label_colours, organ_colour

#: soft-tissue window, HU
WINDOW = (-160, 240)
WINDOW_TEXT = f"soft-tissue window, level {sum(WINDOW) // 2} HU, width {WINDOW[1] - WINDOW[0]} HU"
#: length of the scale bars, mm
BAR_MM = 50
#: one colour per method in all figures, told apart by the colour-blind (bright scheme of Paul Tol)
_METHODS = {
    "cddpm": "#4477aa",
    "maisi": "#ee6677",
    "pivm": "#228833",
    "prior": "#ccbb44",
    "gaussian": "#66ccee",
    "original": "#333333",
    "real": "#333333",
    "combined": "#aa3377",
    "real_light": "#999999",
    "same_labels": "#44aa99",
    "augmented": "#228833",
    "labels_only": "#aa3377",
    "deformed": "#ddaa33",
    "pretrained": "#332288",
    "half": "#ee8866",
    "rare": "#cc3311",
    "rare_real": "#997700",
}
_OTHERS = ("#882255", "#999933", "#332288", "#cc6677", "#117733", "#ee8866", "#aa4499", "#997700")
#: smallest span of an axis of scores between 0 and 1
_SPAN = 0.25
_WHITE = {"color": "white", "path_effects": [withStroke(linewidth=1.4, foreground="black")]}


def method_colours(methods: Iterable[str], generated: str = "") -> dict[str, str]:
    """Colour per method; a generator of the user's own has one that follows from its name.

    Args:
        methods: of a figure.
        generated: the generator that the method ``generated`` stands for, and whose colour it has.
    """
    methods = list(methods)
    named = {method: generated if method == "generated" and generated else method for method in methods}
    free = list(_OTHERS)
    own: dict[str, str] = {}
    for name in sorted(set(named.values()) - set(_METHODS)):
        first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % len(_OTHERS)
        left = [colour for colour in (*_OTHERS[first:], *_OTHERS[:first]) if colour in free] or [_OTHERS[first]]
        own[name] = left[0]
        free = [colour for colour in free if colour != left[0]]
    return {method: _METHODS.get(name) or own[name] for method, name in named.items()}


def draw(axis, kind: str, image: np.ndarray, names: Sequence[str] = ()):
    """Draw one slice without ticks.

    Args:
        axis: to draw on.
        kind: ``hu``, ``variation`` (HU around 0) or ``labels``, a label map that may end in an id for the rest of the
            body.
        image: [H, W].
        names: organs of a label map.
    """
    axis.set_xticks([])
    axis.set_yticks([])
    if kind == "hu":
        return axis.imshow(image, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1])
    if kind == "variation":
        return axis.imshow(image, cmap="RdBu_r", vmin=-200, vmax=200)
    return axis.imshow(label_colours(names)[image], interpolation="nearest")


def mark_sides(axis, left: str = "R", right: str = "L", top: str = "A", size: float = 7) -> None:
    """Letters of the patient's sides at the edges of a picture."""
    style = {**_WHITE, "transform": axis.transAxes, "fontsize": size}
    axis.text(0.02, 0.5, left, ha="left", va="center", **style)
    axis.text(0.98, 0.5, right, ha="right", va="center", **style)
    axis.text(0.5, 0.985, top, ha="center", va="top", **style)


def mark_scale(axis, mm_per_unit: float, size: float = 6.5) -> None:
    """A bar of :data:`BAR_MM` in the lower left corner of a picture.

    Args:
        axis: with the picture, square pixels.
        mm_per_unit: millimetres per unit of the x axis.
        size: of its text.
    """
    left, right = axis.get_xlim()
    share = BAR_MM / mm_per_unit / abs(right - left)
    line = {"color": "white", "lw": 1.8, "transform": axis.transAxes, "solid_capstyle": "butt"}
    axis.plot([0.04, 0.04 + share], [0.045, 0.045], path_effects=_WHITE["path_effects"], **line)
    axis.text(0.04, 0.07, f"{BAR_MM // 10} cm", fontsize=size, transform=axis.transAxes, va="bottom", **_WHITE)


def tag(axis, text: str, size: float = 6.5) -> None:
    """A word about a picture in its lower right corner."""
    axis.text(0.975, 0.03, text, ha="right", va="bottom", fontsize=size, transform=axis.transAxes, **_WHITE)


def what_is_shown(pixels: int, adjective: str, window: Sequence[float]) -> str:
    """What stands below slices that bear their SSIM.

    Args:
        pixels: per side.
        adjective: of the slices that it is taken to.
        window: HU range of SSIM.
    """
    score = f"SSIM to the {adjective} slice, {window[0]:g} to {window[1]:g} HU"
    return f"{pixels} × {pixels} pixels; {WINDOW_TEXT}; {score}"


def organ_patches(names: Iterable[str], body: bool = True) -> list[Patch]:
    """Entries of a legend: one per organ, and the rest of the body."""
    found = [Patch(color=organ_colour(name), label=name.replace("_", " ")) for name in names]
    return [*found, Patch(color=BODY, label="body without a label")] if body else found


def present(names: Sequence[str], label_maps: Iterable[np.ndarray]) -> list[str]:
    """The organs that occur in any of some label maps, in their order."""
    ids = set[int]().union(*(np.unique(label_map).tolist() for label_map in label_maps))
    return [name for k, name in enumerate(names, start=1) if k in ids]


def legend_columns(inches: float) -> int:
    """Columns of a legend of organs that fit into a figure of this width."""
    return max(1, min(6, int(inches / 1.3)))


def organ_legend(figure, names: Sequence[str], bottom: float, columns: int | None = None, body: bool = True) -> None:
    """A legend of organs below the pictures.

    Args:
        figure: to draw on.
        names: of the organs that are painted.
        bottom: of the legend, as a share of the figure.
        columns: of the legend, ``None`` for as many as fit.
        body: whether the rest of the body is painted.
    """
    columns = columns or legend_columns(figure.get_figwidth())
    figure.legend(
        handles=organ_patches(names, body), loc="lower center", bbox_to_anchor=(0.5, bottom), ncols=columns,
        fontsize=6.5, frameon=False, handlelength=1.1, handleheight=0.9, columnspacing=1.1, labelspacing=0.35,
    )  # fmt: skip


def legend_inches(names: Sequence[str], width: float) -> float:
    """Height of :func:`organ_legend` in a figure of a width, inches."""
    return 0.145 * -(-(len(names) + 1) // legend_columns(width)) + 0.08


def calm_limits(axis, metric: Metric) -> None:
    """Set limits of the y axis that do not blow a small difference up.

    Scores between 0 and 1 span a quarter of that range at least; distances begin at 0.
    """
    low, high = sorted(axis.get_ylim())
    if metric.scale in ("logit", "fisher"):
        span = max(high - low, _SPAN * metric.factor)
        low = max(min((low + high - span) / 2, metric.factor - span), 0)
        axis.set_ylim(low, min(low + span, 1.02 * metric.factor))
    else:
        axis.set_ylim(min(0, low), high)


@contextmanager
def slice_grid(
    titles: Sequence[str], rows: int, inches: float, organs: Sequence[str], note: str, path: Path
) -> Iterator[np.ndarray]:
    """The axes of a figure of slices in columns with titles, below them a note and the colours of organs.

    Args:
        titles: of the columns.
        rows: of slices.
        inches: side of a slice.
        organs: names in the legend.
        note: what is shown.
        path: of the PNG, written at the end.
    """
    width = inches * len(titles) + 0.4
    lines = textwrap.wrap(note, int(17 * width))
    below = 0.12 * (len(lines) - 1)
    foot = 0.35 + below + legend_inches(organs, width)
    size = (width, inches * rows + 0.3 + foot)
    figure, axes = plt.subplots(rows, len(titles), figsize=size, squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8.5)
    yield axes
    top, bottom = 1 - 0.28 / size[1], foot / size[1]
    figure.subplots_adjust(left=0.42 / size[0], right=0.995, top=top, bottom=bottom, wspace=0.03, hspace=0.03)
    figure.text(0.5, (foot - 0.2 - below) / size[1], "\n".join(lines), ha="center", fontsize=7)
    organ_legend(figure, organs, 0)
    figure.savefig(path, dpi=150)
    plt.close(figure)
