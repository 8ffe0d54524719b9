"""What slices of 128 pixels and more show and smaller ones do not, drawn over a finished phantom.

Coordinates as in :mod:`pivm.datasets.phantom.torso`.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pivm.datasets.phantom.canvas import Canvas
from pivm.datasets.phantom.patient import Patient
from pivm.datasets.phantom.torso import Cavity


def paint_detail(canvas: Canvas, patient: Patient, cavity: Cavity, ids: dict[str, int]) -> None:
    """Paint muscles and bowel of the pelvis, renal pyramids, branches of vessels in the liver, plaques of the aorta.

    Args:
        patient: with a generator of its own, so that a scan without detail has the same patient.
        ids: organ name -> label id.
    """
    _linea_alba(canvas, patient, cavity)
    _iliacus(canvas, patient, cavity, ids)
    _pelvic_bowel(canvas, patient, cavity, ids)
    _pyramids(canvas, patient, ids)
    _liver_branches(canvas, patient, ids["liver"])
    _calcifications(canvas, patient, ids["aorta"])


def _depth(mask: np.ndarray, patient: Patient) -> np.ndarray:
    """Distance of each voxel of a mask to what is outside of it, mm."""
    return ndimage.distance_transform_edt(mask, sampling=patient.spacing).astype(np.float32)


def _fat(canvas: Canvas, patient: Patient, cavity: Cavity) -> np.ndarray:
    """The fat between the organs of the pelvis as a container: a distance that is negative where there is room."""
    room = np.full(canvas.hu.shape, 9, np.float32)
    block = canvas.window((-130, -90, -185), (130, 110, -40))  # the pelvis: detail elsewhere lies in organs
    fat = (canvas.label == 0) & (np.abs(canvas.hu - patient.hu["fat"]) < 40) & (cavity.abdomen < 0)
    room[block] = 1.5 + _depth(~fat[block], patient) - _depth(fat[block], patient)
    return room


def _linea_alba(canvas: Canvas, patient: Patient, cavity: Cavity) -> None:
    """The seam between the straight muscles in front, and those at their sides."""
    front = np.maximum(-cavity.abdomen - 1, 55 - canvas.y)
    muscle = np.maximum(front, np.where(np.abs(canvas.hu - patient.hu["muscle"]) < 30, -9, 9))
    for x in (-52, 0, 52):
        seam = np.maximum(np.abs(canvas.x - x) - 2.5, muscle).astype(np.float32)
        canvas.blend(canvas.everywhere(), seam, patient.hu["fat"])


def _iliacus(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    """The muscle that lines the wing of the ilium on the inside; part of the iliopsoas."""
    room = np.maximum(_fat(canvas, patient, cavity), np.maximum(-175 - canvas.z, canvas.z + 48))
    for side in ("right", "left"):
        beside = _depth(canvas.label != ids[f"hip_{side}"], patient) - patient.rng.uniform(11, 16)
        canvas.blend(canvas.everywhere(), np.maximum(beside, room), patient.hu["muscle"], ids[f"iliopsoas_{side}"])


def _pelvic_bowel(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    """Loops of the ileum and the strands of its mesentery, where organs and muscles leave room."""
    rng, hu = patient.rng, patient.hu
    centre, radii = np.array([0.0, 26.0, -112.0]), np.array([78.0, 42.0, 46.0])
    for _ in range(14):
        room = _fat(canvas, patient, cavity)
        points = [centre + radii * rng.uniform(-0.8, 0.8, 3)]
        for _ in range(4):
            step = rng.normal(0, 1, 3) * (1, 1, 0.6)
            step = points[-1] + 26 * step / np.linalg.norm(step)
            points.append(centre + radii * np.clip((step - centre) / radii, -1, 1))
        block, d = canvas.tube(points, rng.uniform(9, 13, 3), within=room, per_segment=3)
        canvas.blend(block, d, hu["small_bowel"], ids["small_bowel"])
        content = hu["gas"] if rng.uniform() < 0.12 else 0.5 * (hu["fluid"] + hu["small_bowel"])
        canvas.blend(block, d + 2.8, content)
    room = _fat(canvas, patient, cavity)
    for _ in range(22):
        start = centre + radii * rng.uniform(-1, 1, 3)
        block, d = canvas.tube([start, start + rng.normal(0, 16, 3)], [1.8, 1.2], within=room, per_segment=3)
        canvas.blend(block, d, hu["vein"])


def _pyramids(canvas: Canvas, patient: Patient, ids) -> None:
    """Columns of cortex between the pyramids of the medulla, and the cortex around them."""
    for side in ("right", "left"):
        kidney = canvas.label == ids[f"kidney_{side}"]
        if not kidney.any():
            continue
        block = ndimage.find_objects(kidney.astype(np.uint8))[0]
        depth = _depth(np.pad(kidney[block], 1), patient)[1:-1, 1:-1, 1:-1]
        x, y, z = canvas.at(block)
        centre = [float(c[kidney[block]].mean()) for c in (x, y, z)]
        around = np.arctan2(y - centre[1], x - centre[0])
        turn = patient.rng.uniform(0, 2 * np.pi)
        # three pyramids around the long axis, each 18 mm high, those of the next row between them
        row = np.floor((z - centre[2]) / 18)
        column = 3.5 * np.cos(3 * around + turn + np.pi * row) - 0.5
        inside = np.maximum(5.5 - depth, np.where(kidney[block], -9, 9))
        canvas.blend(block, np.maximum(inside, column).astype(np.float32), patient.hu["kidney_cortex"])
        canvas.blend(block, np.maximum(inside, -column).astype(np.float32), patient.hu["kidney_medulla"])


def _liver_branches(canvas: Canvas, patient: Patient, label: int) -> None:
    liver = canvas.label == label
    if not liver.any():
        return
    depth = _depth(liver, patient)
    voxels = np.argwhere(depth > 6)
    hub = np.array([float(c.mean()) for c in canvas.at(liver)])
    for start in patient.rng.choice(voxels, 24):
        start = np.array(canvas.at(tuple(start)))
        outwards = (start - hub) / max(float(np.linalg.norm(start - hub)), 1.0)
        end = start + 34 * outwards + patient.rng.normal(0, 8, 3)
        block, d = canvas.tube([start, end], [2.6, 1.4], within=4 - depth, per_segment=3)
        canvas.blend(block, d, patient.hu["hepatic_vessel"])


def _calcifications(canvas: Canvas, patient: Patient, label: int) -> None:
    """Plaques in the wall of the aorta of every other patient."""
    rng, aorta = patient.rng, canvas.label == label
    wall = np.argwhere(aorta & (_depth(aorta, patient) < 1.5 * canvas.edge))
    count = int(rng.integers(5, 16)) if rng.uniform() < 0.5 else 0
    if not len(wall):
        return
    for spot in rng.choice(wall, count):
        block, d = canvas.ellipsoid(canvas.at(tuple(spot)), rng.uniform(1.8, 3.6, 3))
        canvas.blend(block, d, rng.uniform(350, 700))
