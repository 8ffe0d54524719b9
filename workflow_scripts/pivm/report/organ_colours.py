"""One colour per organ in all figures, whatever labels a run has.

Hues follow the viewers of the field (3D Slicer's anatomical colours, which TotalSegmentator uses too): arteries red,
veins blue, bone ivory, muscle dark red, spleen purple, gallbladder green, bladder and pancreas yellow. There the liver,
the stomach and the bowel are all tan; here organs that touch are kept apart, also for those who do not tell red from
green.
"""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgba

ORGAN_COLOURS = {
    "spleen": "#9765a4",
    "kidney_right": "#e9851d",
    "kidney_left": "#e7985e",
    "gallbladder": "#78a53c",
    "esophagus": "#cdaa78",
    "liver": "#b64b2c",
    "stomach": "#f38cb1",
    "aorta": "#e32122",
    "inferior_vena_cava": "#145ac8",
    "portal_vein_and_splenic_vein": "#46b4eb",
    "pancreas": "#fcc926",
    "adrenal_gland_right": "#c8e16e",
    "adrenal_gland_left": "#e0f79f",
    "small_bowel": "#e0a48a",
    "duodenum": "#f0ebd2",
    "colon": "#2eb5a7",
    "urinary_bladder": "#ebd83e",
    "lung_lower_lobe_left": "#97c8e8",
    "lung_lower_lobe_right": "#b9d7e6",
    "vertebrae_L5": "#f7e47d",
    "vertebrae_L4": "#d3953e",
    "vertebrae_L3": "#c6a5a0",
    "vertebrae_L2": "#a89b6a",
    "vertebrae_L1": "#fff5ac",
    "vertebrae_T12": "#d6a42f",
    "vertebrae_T11": "#fff1c4",
    "vertebrae_T10": "#c29b4b",
    "autochthon_left": "#99363d",
    "autochthon_right": "#7e363c",
    "iliopsoas_left": "#bc455a",
    "iliopsoas_right": "#992c4f",
    "hip_left": "#bbe1ca",
    "hip_right": "#6a9662",
    "sacrum": "#d5ae92",
}
AIR, BODY = "#000000", "#454545"


def organ_colour(name: str) -> str:
    """Colour of a label as ``#rrggbb``; of a name that is not in the table, one that follows from the name alone."""
    if name in ORGAN_COLOURS:
        return ORGAN_COLOURS[name]
    hue, light, strong = (byte / 255 for byte in hashlib.sha256(name.encode()).digest()[:3])
    rgb = colorsys.hls_to_rgb(hue, 0.45 + 0.3 * light, 0.45 + 0.4 * strong)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def label_colours(names: Sequence[str]) -> np.ndarray:
    """RGBA per id of a label map, float [K + 2, 4]: air, the organs, and the rest of the body.

    Args:
        names: of the organs, k-th is label k.
    """
    return np.array([to_rgba(colour) for colour in (AIR, *map(organ_colour, names), BODY)])
