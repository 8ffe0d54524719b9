"""What figures share: one colour per organ and per method, calm axes, and pictures that say what they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from pivm.evaluation.all_metrics import METRICS
from pivm.labels import ORGANS_13, ORGANS_34
from pivm.report.drawing import calm_limits, method_colours, plt, present, slice_grid, what_is_shown
from pivm.report.organ_colours import ORGAN_COLOURS, label_colours, organ_colour
from pivm.report.views import plot_views, volumes_of
from pivm.scans.nifti import Grid
from skimage.color import deltaE_ciede2000, rgb2lab

#: organs that touch in real and phantom label maps
TOUCHING = [
    *(("stomach", organ) for organ in ("pancreas", "liver", "spleen", "colon", "duodenum", "small_bowel")),
    *(("liver", o) for o in ("kidney_right", "gallbladder", "inferior_vena_cava", "portal_vein_and_splenic_vein")),
    *(("liver", organ) for organ in ("pancreas", "duodenum", "colon", "adrenal_gland_right", "iliopsoas_right")),
    *(("pancreas", organ) for organ in ("duodenum", "portal_vein_and_splenic_vein", "small_bowel", "colon", "spleen")),
    *(("colon", organ) for organ in ("gallbladder", "spleen", "kidney_right", "small_bowel", "duodenum", "sacrum")),
    *(("colon", organ) for organ in ("iliopsoas_left", "iliopsoas_right", "hip_left", "hip_right")),
    *(("kidney_left", organ) for organ in ("spleen", "pancreas", "colon", "iliopsoas_left")),
    *itertools.pairwise(ORGANS_34[19:27]),
    ("vertebrae_L5", "sacrum"),
    ("hip_left", "sacrum"),
    ("hip_right", "sacrum"),
    ("aorta", "vertebrae_L3"),
    ("esophagus", "aorta"),
    ("autochthon_left", "vertebrae_L2"),
]
#: linear RGB as full protanopes and deuteranopes see it (Machado et al. 2009)
BLINDNESS = {
    "none": np.eye(3),
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}


def lab(colour: str, blindness: str) -> np.ndarray:
    """CIE Lab of a colour as somebody sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(BLINDNESS[blindness]) @ linear, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize(("blindness", "least"), [("none", 18), ("deutan", 10), ("protan", 10)])
def test_organs_that_touch_can_be_told_apart(blindness, least):
    close = [
        (a, b)
        for a, b in TOUCHING
        if deltaE_ciede2000(lab(organ_colour(a), blindness), lab(organ_colour(b), blindness)) < least
    ]
    assert not close


def test_an_organ_has_one_colour_whatever_the_labels_of_a_run():
    assert set(ORGAN_COLOURS) == set(ORGANS_34)
    assert len(set(ORGAN_COLOURS.values())) == 34
    for names in (ORGANS_34, ORGANS_13, ("liver", "spleen"), ("my_tumour", "liver")):
        colours = label_colours(names)
        assert colours.shape == (len(names) + 2, 4)
        assert tuple(colours[names.index("liver") + 1][:3]) == to_rgb(ORGAN_COLOURS["liver"])
    assert organ_colour("my_tumour") == organ_colour("my_tumour") != organ_colour("my_other_tumour")


def test_a_method_has_one_colour_in_all_tables():
    two, three = (
        method_colours(["cddpm", "maisi", "pivm"]),
        method_colours(["original", "generated", "combined"], "pivm"),
    )
    assert three["generated"] == two["pivm"] == method_colours(["pivm"])["pivm"]
    assert len({*two.values(), *three.values()}) == 5
    own = method_colours(["pivm_long", "pivm", "pivm_short", "another"])
    assert len(set(own.values())) == 4
    assert method_colours(["pivm_long"])["pivm_long"] == method_colours(["generated"], "pivm_long")["generated"]


@pytest.mark.parametrize(
    ("metric", "values"),
    [("dice", (0.010, 0.007)), ("ssim", (0.771, 0.774)), ("dice", (0.998, 1.0)), ("missed", (0.0, 0.3))],
)
def test_a_small_difference_is_no_cliff(metric, values):
    figure, axis = plt.subplots()
    axis.plot([0, 1], values)
    calm_limits(axis, METRICS[metric])
    low, high = axis.get_ylim()
    plt.close(figure)
    assert high - low >= 0.24 * METRICS[metric].factor
    assert low <= min(values) <= max(values) <= high


def test_distances_begin_at_zero():
    figure, axis = plt.subplots()
    axis.plot([0, 1], (106, 105))
    calm_limits(axis, METRICS["frechet_distance"])
    assert axis.get_ylim()[0] == 0
    plt.close(figure)


def test_the_organs_of_a_legend_are_those_that_are_painted():
    assert present(("liver", "spleen", "aorta"), [np.array([0, 3]), np.array([[1, 4]])]) == ["liver", "aorta"]


@pytest.mark.parametrize("columns", [3, 4, 5, 7])
def test_nothing_below_a_grid_of_slices_is_cut_off(kept_figures, tmp_path, columns):
    note = what_is_shown(128, "phantom", (-200, 300))
    with slice_grid(["title"] * columns, 2, 1.35, ORGANS_34, note, tmp_path / "grid.png"):
        pass
    (figure,) = kept_figures
    figure.canvas.draw()
    pictures = min(axis.get_window_extent().y0 for axis in figure.axes)
    for shown in (*figure.legends, *figure.texts):
        box = shown.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert 0 <= box.y0 < box.y1 <= pictures


def drawn_texts(figures: list[Figure]) -> list[str]:
    """All words of some figures."""
    texts = (text.get_text() for figure in figures for text in figure.findobj(plt.Text))
    return [text for text in texts if text]


def test_views_say_the_resolution_the_sides_and_the_window(kept_figures, tmp_path):
    grid = Grid((40, 40, 6), np.diag([2.0, 2.0, 3.0, 1.0]))
    hu = np.zeros(grid.shape, np.int16)
    labels = np.zeros(grid.shape, np.uint8)
    labels[10:20, 10:20] = 1
    views = volumes_of(hu, hu + 50, grid, 20, "Phantom CT", "PIVM (ours)")
    assert [view.title for view in views] == ["Phantom CT", "Phantom CT, coarse", "PIVM (ours)"]
    plot_views(views, labels, ("liver",), grid, tmp_path / "a.png")
    texts = drawn_texts(kept_figures)
    whole = " ".join(texts)
    for words in ("40 × 40 pixels of 2.0 mm", "made at 20 × 20 pixels of 4.0 mm", "level 40 HU, width 400 HU", "5 cm"):
        assert words in whole
    assert {"R", "L", "A", "P", "S", "coronal", "sagittal", "liver"} <= set(texts)
    assert "Real" not in whole
    # as fine as the scan, or no scan at all
    assert len(volumes_of(hu, hu, grid, 40, "Real CT", "x")) == 2
    assert len(volumes_of(None, hu, grid, 20, "Real CT", "x")) == 1
