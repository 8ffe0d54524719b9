"""What all figures share: the HU window, the colours of labels and methods, and how a slice is drawn."""

from __future__ import annotations

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

#: soft-tissue window, HU
WINDOW = (-160, 240)
_METHOD_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


def method_colour(i: int) -> str:
    """Colour of the i-th method of a figure."""
    return _METHOD_COLOURS[i % len(_METHOD_COLOURS)]


def label_colours(classes: int) -> np.ndarray:
    """RGBA per id of a label map: [classes, 4], background black, neighbouring ids far apart."""
    colours = plt.get_cmap("gist_ncar")(np.linspace(0.05, 0.95, classes))
    colours = colours[np.random.default_rng(3).permutation(classes)]
    colours[0] = (0, 0, 0, 1)
    return colours


def draw(axis, kind: str, image: np.ndarray, classes: int):
    """Draw one slice without ticks.

    Args:
        axis: to draw on.
        kind: ``hu``, ``variation`` (HU around 0) or ``labels``, a label map whose last id is the rest of the body.
        image: [H, W].
        classes: number of ids of the label map.
    """
    axis.set_xticks([])
    axis.set_yticks([])
    if kind == "hu":
        return axis.imshow(image, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1])
    if kind == "variation":
        return axis.imshow(image, cmap="RdBu_r", vmin=-200, vmax=200)
    colours = label_colours(classes)
    if classes > 2:
        colours[-1] = (0.22, 0.22, 0.22, 1)
    return axis.imshow(colours[image], interpolation="nearest")
