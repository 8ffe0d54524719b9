"""The wall of the trunk and what moves with it: skin, fat, muscle, skeleton, couch, lungs.

Canonical frame in mm: +x right, +y anterior, +z superior; the origin is the middle of the abdominal cavity
at L3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pivm.datasets.phantom import shapes
from pivm.datasets.phantom.canvas import Canvas
from pivm.datasets.phantom.patient import Patient

#: upper and lower end of each vertebra along z, mm
VERTEBRAE = {
    "vertebrae_L5": (-93, -58),
    "vertebrae_L4": (-57, -21),
    "vertebrae_L3": (-20, 16),
    "vertebrae_L2": (17, 52),
    "vertebrae_L1": (53, 87),
    "vertebrae_T12": (88, 119),
    "vertebrae_T11": (120, 149),
    "vertebrae_T10": (150, 177),
    "vertebrae_T9": (178, 204),
    "vertebrae_T8": (205, 231),
}


@dataclass
class Cavity:
    """Containers that hold the organs, as distances on the whole grid (mm)."""

    abdomen: np.ndarray  # inside the muscular wall
    below_diaphragm: np.ndarray  # inside the wall and under the diaphragm
    spine_x: np.ndarray
    spine_y: np.ndarray


def paint_torso(canvas: Canvas, patient: Patient, ids: dict[str, int]) -> Cavity:
    """Paint wall, lungs and skeleton; return the containers for the organs.

    Args:
        ids: organ name -> label id; names that are missing are painted without a label.
    """
    x, y, z = canvas.x, canvas.y, canvas.z
    hu, everywhere = patient.hu, canvas.everywhere()
    waist = 1 - 0.07 * np.exp(-(((z - 10) / 55) ** 2)) + 0.05 * np.clip((-z - 60) / 100, 0, 1)
    cavity = shapes.cylinder(x, y, 0, 0, 122 * waist, 86 * (1 + 0.1 * patient.habitus) * waist, 2.3)
    wall = shapes.cylinder(x, y, 0, -15, 134 * waist, 108 * (1 + 0.08 * patient.habitus) * waist, 2.4)
    fat = patient.fat_thickness(patient.habitus)
    # fat lies thicker in front and at the flanks of the pelvis than over the spine
    thickness = fat * (1 + 0.45 * np.clip(y / 100, -1, 1) + 0.25 * np.clip(-z / 150, 0, 1))
    skin = wall - thickness
    _couch(canvas, skin, hu)
    canvas.blend(everywhere, skin, hu["skin"])
    canvas.blend(everywhere, skin + 2.5, hu["fat"])
    canvas.blend(everywhere, wall, hu["muscle"])
    septum = np.maximum(np.abs(wall + 5.5) - 0.9, -(y + 40))
    canvas.blend(everywhere, septum, 0.5 * (hu["fat"] + hu["muscle"]))
    canvas.blend(everywhere, cavity, hu["fat"] + 4)
    dome = _lungs(canvas, patient, ids, cavity)
    spine_x = 5 * np.sin(z / 120) * patient.rng.normal(0, 1)
    spine_y = (-56 + 9 * np.cos((z + 10) / 70)).astype(np.float32)
    _muscles(canvas, patient, ids, spine_x, wall)
    _pelvis(canvas, patient, ids, wall)
    _ribs(canvas, patient, cavity, wall)
    _spine(canvas, patient, ids, spine_x, spine_y)
    return Cavity(cavity + 2, np.maximum(cavity + 2, z - dome + 3), spine_x, spine_y)


def _couch(canvas: Canvas, skin: np.ndarray, hu) -> None:
    """A curved table top under the back: present in every scan, part of no organ."""
    back = canvas.y[skin < 0].min() - 5
    top = back - 3 + (canvas.x / 60) ** 2 - 6
    shell = np.maximum(np.abs(canvas.y - top) - 3.0, np.abs(canvas.x) - 190)
    canvas.blend(canvas.everywhere(), shell.astype(np.float32), hu["couch"])
    canvas.blend(canvas.everywhere(), (np.abs(np.abs(canvas.y - top) - 3) - 0.6).astype(np.float32), 60)


def _lungs(canvas: Canvas, patient: Patient, ids, cavity: np.ndarray) -> np.ndarray:
    x, y, z = canvas.x, canvas.y, canvas.z
    rng = patient.rng
    rim = np.clip((x / 118) ** 2 + ((y - 8) / 84) ** 2, 0, 1.4)
    level = 158 + rng.normal(0, 8)
    dome = level - 58 * rim**1.8 + 7 * np.tanh(x / 25)
    lung = np.maximum(cavity + 5, dome - z)
    mediastinum = np.abs(x + 6) - (30 + 12 * np.clip((y + 20) / 60, 0, 1))
    lung = np.maximum(lung, -mediastinum)
    texture = rng.normal(0, 1, canvas.hu.shape).astype(np.float32)
    vessels = np.where(texture > 2.15, 420, 0).astype(np.float32)
    value = patient.hu["lung"] + 1.1 * (level - z) * 0.2 + vessels + 18 * texture
    everywhere = canvas.everywhere()
    canvas.blend(everywhere, lung, value)
    fissure = 12 - 0.45 * (z - 150)
    lower = np.maximum(lung, y - fissure)
    canvas.label[(lower < 0) & (x > 0)] = ids.get("lung_lower_lobe_right", 0)
    canvas.label[(lower < 0) & (x < 0)] = ids.get("lung_lower_lobe_left", 0)
    block, d = canvas.ellipsoid(patient.place((-18, 30, 212)), patient.size((56, 44, 42)), within=cavity + 6)
    canvas.blend(block, d, patient.hu["heart"], 0)
    return dome


def _muscles(canvas: Canvas, patient: Patient, ids, spine_x, wall) -> None:
    z = canvas.z
    hu = patient.hu["muscle"]
    taper = np.clip((z + 190) / 90, 0.35, 1)
    for side, name in ((1, "autochthon_right"), (-1, "autochthon_left")):
        radii = patient.size((27, 20), 0.08, 0.04)
        d = shapes.cylinder(canvas.x, canvas.y, spine_x + side * 31, -99, radii[0] * taper, radii[1] * taper, 2.6)
        d = np.maximum(d, wall + 1)
        canvas.blend(canvas.everywhere(), np.abs(d) - 1.2, patient.hu["fat"] * 0.5)
        canvas.blend(canvas.everywhere(), d, hu - 4, ids.get(name, 0))
    for side, name in ((1, "iliopsoas_right"), (-1, "iliopsoas_left")):
        bulk = float(patient.size((1.0,), 0.12)[0])
        path = [
            (30, -58, 84),
            (38, -57, 45),
            (45, -50, 0),
            (55, -38, -50),
            (68, -18, -105),
            (80, 8, -160),
            (86, 18, -205),
        ]
        points = patient.path([(side * px, py, pz) for px, py, pz in path], 2.5, 1.5)
        block, d = canvas.tube(points, bulk * np.array([6, 12, 18, 21, 22, 19, 17]), within=wall + 4)
        canvas.blend(block, d, hu, ids.get(name, 0))


def _pelvis(canvas: Canvas, patient: Patient, ids, wall) -> None:
    hu = patient.hu
    for side, name in ((1, "hip_right"), (-1, "hip_left")):
        turn = shapes.rotation((0, 0, side * 25))
        block, d = canvas.ellipsoid((side * 82, -82, -130), (62, 42, 80), turn, within=wall + 2)
        canvas.blend(block, d, hu["muscle"] - 3, 0)  # gluteal muscles, no label
        block = canvas.window((-150, -110, -215), (150, 60, -35))
        x, y, z = canvas.at(block)
        depth = np.clip((-45 - z) / 110, 0, 1)  # 0 at the crest, 1 at the acetabulum
        half = 3.2 + 2 * depth + 10 * np.clip(depth - 0.75, 0, 1) * 4 * 0.9
        length = 30 + 62 * np.clip(depth * 2.2, 0, 1) - 38 * np.clip(depth - 0.55, 0, 1) * 2
        middle_x = side * (100 - 12 * depth)
        middle_y = -25 + 12 * depth
        angle = np.deg2rad(52 - 18 * depth) * side
        along = (x - middle_x) * np.sin(angle) + (y - middle_y) * np.cos(angle)
        across = (x - middle_x) * np.cos(angle) - (y - middle_y) * np.sin(angle) + side * 0.0045 * along**2
        d = np.hypot(across, np.maximum(np.abs(along) - length, 0)) - half
        d = np.maximum(d, np.maximum(z + 42, -z - 205)).astype(np.float32)
        d = np.maximum(d, wall[block] + 5)
        _bone(canvas, block, d, hu["pelvic_marrow"] + 40, 0.62 * hu["bone_cortical"], ids.get(name, 0))
        block, d = canvas.ellipsoid((side * 88, 5, -188), (23, 23, 23))
        _bone(canvas, block, d, hu["bone_marrow"] + 60, 0.6 * hu["bone_cortical"], 0)  # femoral head


def _ribs(canvas: Canvas, patient: Patient, cavity, wall) -> None:
    """Slanted bands between the cavity and the outer wall, above the costal margin; no label."""
    z, y = canvas.z, canvas.y
    shell = np.abs(0.55 * (cavity - 4) + 0.45 * wall) - 3.6
    phase = (z + 0.5 * y + 9 * patient.rng.uniform()) / 27
    band = np.abs(phase - np.round(phase)) * 27 - 5.5
    margin = 42 + 0.55 * (y + 90) - z
    spread = 26 - np.abs(canvas.x)
    d = np.maximum.reduce([shell, band, margin, spread]).astype(np.float32)
    _bone(canvas, canvas.everywhere(), d, patient.hu["bone_marrow"], 0.6 * patient.hu["bone_cortical"], 0)


def _spine(canvas: Canvas, patient: Patient, ids, spine_x, spine_y) -> None:
    hu = patient.hu
    girth = patient.size((23, 16.5), 0.06, 0.03)
    column = shapes.cylinder(canvas.x, canvas.y, spine_x, spine_y, girth[0], girth[1], 2.3)
    canvas.blend(canvas.everywhere(), np.maximum(column + 1, -canvas.z - 95), hu["disc"], 0)
    for name, (low, high) in VERTEBRAE.items():
        block = canvas.window((-60, -130, low - 6), (60, -25, high + 6))
        x, y, z = canvas.at(block)
        sx, sy = spine_x[block], spine_y[block]
        waist = 1 - 0.08 * np.cos((z - low) / (high - low) * 2 * np.pi - np.pi)
        body = shapes.cylinder(x, y, sx, sy, girth[0] * waist, girth[1] * waist, 2.3)
        body = np.maximum(body, np.maximum(low + 3.5 - z, z - high + 3.5))
        arch = np.abs(np.hypot(x - sx, y - sy + 27) - 12.5) - 3.8
        process = shapes.ellipsoid(x, y, z, (0, -102, 0.5 * (low + high) - 6), (3.6, 17, 11))
        across = np.maximum(np.abs(x - sx) - 38, np.abs(y - sy + 25) - 4.5)
        across = np.maximum.reduce([across, np.abs(z - 0.5 * (low + high)) - 6, 12 - np.abs(x - sx)])
        arch = np.maximum(arch, np.abs(z - 0.5 * (low + high) + 3) - 12)
        d = np.minimum.reduce([body, arch, process, across]).astype(np.float32)
        _bone(canvas, block, d, hu["bone_marrow"], 0.7 * hu["bone_cortical"], ids.get(name, 0))
    block = canvas.window((-80, -140, -205), (80, -30, -90))
    x, y, z = canvas.at(block)
    fall = np.clip((-92 - z) / 95, 0, 1)
    d = shapes.cylinder(x, y, 0, -62 - 42 * fall + 18 * np.clip(fall - 0.6, 0, 1), 54 - 38 * fall, 19 - 9 * fall, 2.4)
    d = np.maximum(d, np.maximum(z + 94, -187 - z)).astype(np.float32)
    _bone(canvas, block, d, hu["pelvic_marrow"], 0.5 * hu["bone_cortical"], ids.get("sacrum", 0))
    canal = np.hypot(canvas.x - spine_x, canvas.y - spine_y + 27) - 8.5
    canvas.blend(canvas.everywhere(), np.maximum(canal, -100 - canvas.z).astype(np.float32), hu["spinal_canal"], 0)


def _bone(canvas: Canvas, block, distance, marrow, cortical, label) -> None:
    """A bone: cortical shell of about 2 mm around marrow."""
    canvas.blend(block, distance, cortical, label)
    canvas.blend(block, distance + 2.0, marrow)
