"""The organs and vessels inside the abdominal cavity, painted from the back of the queue to the front.

Coordinates as in :mod:`pivm.datasets.phantom.torso`.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pivm.datasets.phantom import shapes
from pivm.datasets.phantom.canvas import Canvas
from pivm.datasets.phantom.patient import Patient
from pivm.datasets.phantom.torso import Cavity


def paint_organs(canvas: Canvas, patient: Patient, cavity: Cavity, ids: dict[str, int]) -> None:
    """Paint everything between diaphragm and pelvic floor.

    Args:
        ids: organ name -> label id; names that are missing are painted without a label.
    """
    _mesentery(canvas, patient, cavity)
    _small_bowel(canvas, patient, cavity, ids)
    _pelvic_organs(canvas, patient, cavity, ids)
    _colon(canvas, patient, cavity, ids)
    _liver(canvas, patient, cavity, ids)
    _spleen(canvas, patient, cavity, ids)
    _kidneys(canvas, patient, cavity, ids)
    _stomach(canvas, patient, cavity, ids)
    _duodenum_and_pancreas(canvas, patient, cavity, ids)
    _vessels(canvas, patient, cavity, ids)


def _mesentery(canvas: Canvas, patient: Patient, cavity: Cavity) -> None:
    """Small vessels and strands in the fat; no label."""
    rng = patient.rng
    for _ in range(26):
        start = np.array([rng.normal(0, 15), rng.normal(5, 12), rng.uniform(-60, 50)])
        end = np.array([rng.normal(0, 62), rng.uniform(0, 70), rng.uniform(-110, 60)])
        middle = 0.5 * (start + end) + rng.normal(0, 12, 3)
        block, d = canvas.tube([start, middle, end], [2.6, 2.2, 1.4], within=cavity.abdomen, per_segment=3)
        canvas.blend(block, d, patient.hu["vein"], 0)


def _hollow(canvas, patient, block, d, wall_hu, label, content_hu, wall=2.6):
    """A hollow organ: wall, then content inside of it; the organ's label covers both."""
    canvas.blend(block, d, wall_hu, label)
    canvas.blend(block, d + wall, content_hu)


def _small_bowel(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    rng, hu = patient.rng, patient.hu
    centre = patient.place((-6, 32, -42))
    radii = patient.size((72, 34, 56))
    for _ in range(11):
        direction = rng.normal(0, 1, 3)
        points = [centre + radii * rng.normal(0, 0.48, 3)]
        for _ in range(6):
            direction = 0.45 * direction + rng.normal(0, 1, 3)
            step = 23 * direction / np.linalg.norm(direction)
            nxt = points[-1] + step
            off = (nxt - centre) / radii
            if np.linalg.norm(off) > 1:
                nxt = centre + radii * off / np.linalg.norm(off) * 0.95
            points.append(nxt)
        block, d = canvas.tube(points, rng.uniform(8.5, 12.5, 4), within=cavity.abdomen, per_segment=3)
        kind = rng.uniform()
        content = hu["fluid"] if kind < 0.6 else (0.5 * (hu["fluid"] + hu["small_bowel"]))
        if kind > 0.9:
            content = hu["gas"]
        _hollow(canvas, patient, block, d, hu["small_bowel"], ids.get("small_bowel", 0), content)


def _pelvic_organs(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    hu = patient.hu
    block, d = canvas.ellipsoid(patient.place((0, -14, -178)), patient.size((26, 19, 26)), within=cavity.abdomen)
    canvas.blend(block, d, hu["muscle"] + 4, 0)  # uterus or prostate with seminal vesicles, no label
    filling = patient.rng.uniform(0.65, 1.2)
    block, d = canvas.ellipsoid(
        patient.place((0, 26, -168), (4, 5, 6)),
        patient.size(np.array([40, 30, 31]) * filling),
        within=cavity.abdomen + 5,
    )
    _hollow(canvas, patient, block, d, hu["muscle"], ids.get("urinary_bladder", 0), hu["urine"], 3.0)


def _colon(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    rng, hu = patient.rng, patient.hu
    sag = rng.normal(0, 14)
    course = patient.path(
        [
            (74, 12, -92), (82, 0, -60), (88, -14, -15), (86, -18, 28), (70, 30, 38),
            (36, 58, 18 + sag), (-8, 66, 4 + sag), (-52, 56, 30), (-88, 4, 78),
            (-97, -30, 58), (-98, -34, 10), (-94, -26, -45), (-76, 0, -90), (-42, 18, -122),
            (-8, 8, -128), (6, -30, -134), (0, -58, -152), (0, -62, -200),
        ],
        3.0,
        4.0,
    )  # fmt: skip
    radii = patient.size(np.array([27, 26, 23, 22, 20, 19, 18, 17, 17, 15, 13, 12, 13, 14, 14, 14, 17, 18]), 0.1, 0.08)
    block, d = canvas.tube(course, radii, within=cavity.abdomen, noise=0.10)
    _, y, z = canvas.at(block)
    canvas.blend(block, d, hu["colon"], ids.get("colon", 0))
    mottle = ndimage.gaussian_filter(rng.normal(0, 1, d.shape).astype(np.float32), (1.2, 1.2, 0.7))
    mottle /= mottle.std() + 1e-6
    stool = np.where(mottle > 0.75, -420, hu["stool"] + 22 * mottle)
    # gas rises: above a level that wanders along the colon only gas is left
    level = y - (14 * np.sin(z / 37 + rng.uniform(0, 6)) + rng.normal(6, 14))
    content = np.where(level > 0, hu["gas"], stool).astype(np.float32)
    canvas.blend(block, d + 2.6, content)


def _liver(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    rng, hu = patient.rng, patient.hu
    shift = rng.normal(0, [3, 3, 7])
    turn = shapes.rotation(rng.normal(0, [6, 6, 6]))
    block = canvas.window((-115, -90, -20), (130, 100, 190))
    at = canvas.at(block)
    right = shapes.ellipsoid(*at, np.add((63, -2, 98), shift), patient.size((66, 78, 80)), turn)
    left = shapes.ellipsoid(*at, np.add((-4, 34, 128), shift), patient.size((68, 36, 34)), turn)
    tip = shapes.ellipsoid(*at, np.add((88, -8, 40), shift), patient.size((30, 46, 52)), turn)
    blend = 14.0
    h = np.clip(0.5 + 0.5 * (left - right) / blend, 0, 1)
    d = left + (right - left) * h - blend * h * (1 - h)
    d = np.minimum(d, tip)
    fossa = shapes.ellipsoid(*at, (22, -22, 40), (52, 40, 62))  # impression of kidney, duodenum and pancreas
    d = np.maximum.reduce([d, -fossa, cavity.below_diaphragm[block]])
    canvas.blend(block, d, hu["liver"], ids.get("liver", 0))
    hub = np.add((30, 8, 96), shift)
    for _ in range(9):
        end = hub + rng.normal(0, 1, 3) * (48, 40, 36) + (22, 0, 14)
        middle = 0.5 * (hub + end) + rng.normal(0, 7, 3)
        inside, t = canvas.tube([hub, middle, end], [4.2, 3.0, 1.6], per_segment=3)
        keep = canvas.label[inside] == ids.get("liver", 0)
        canvas.blend(inside, np.where(keep, t, 9.0), hu["hepatic_vessel"])
    spot = patient.place((54, 50, 52), (7, 6, 9))
    radii = patient.size((13, 17, 28), 0.15, 0.08)
    block, d = canvas.ellipsoid(spot, radii, shapes.rotation((25, -10, 0)), within=cavity.abdomen)
    canvas.blend(block, d, hu["gallbladder"], ids.get("gallbladder", 0))


def _spleen(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    turn = shapes.rotation(np.add((20, 0, -20), patient.rng.normal(0, 6, 3)))
    block, d = canvas.ellipsoid(
        patient.place((-86, -34, 104), (4, 5, 7)),
        patient.size((32, 46, 52)),
        turn,
        within=cavity.below_diaphragm,
    )
    hilum = shapes.ellipsoid(*canvas.at(block), (-44, -8, 96), (26, 30, 60))
    canvas.blend(block, np.maximum(d, -hilum), patient.hu["spleen"], ids.get("spleen", 0))


def _kidneys(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    hu = patient.hu
    for side, height in (("right", 36), ("left", 52)):
        sign = 1 if side == "right" else -1
        centre = patient.place((sign * 64, -46, height), (4, 4, 9))
        radii = patient.size((26, 23, 54), 0.10, 0.05)
        turn = shapes.rotation((8, sign * 12, sign * 25))
        block, d = canvas.ellipsoid(centre, radii, turn, within=cavity.abdomen)
        sinus = shapes.ellipsoid(*canvas.at(block), centre - (sign * 15, -8, 0), (13, 9, 24), turn)
        d = np.maximum(d, -sinus)
        canvas.blend(block, d, hu["kidney_cortex"], ids.get(f"kidney_{side}", 0))
        medulla = np.abs(d + 12) - 5
        canvas.blend(block, np.maximum(medulla, d + 6), hu["kidney_medulla"])
        pedicle = np.array([centre - (sign * 16, -8, 0), (sign * 30, -30, height + 6), (sign * 8, -26, height + 10)])
        block, d = canvas.tube(pedicle, [3.6, 3.6, 4.2], within=cavity.abdomen, per_segment=3)
        canvas.blend(block, d, hu["vein"], 0)
        centre = patient.place((sign * 34 + (2 if sign > 0 else -4), -36, height + 62), (2.5, 2.5, 4))
        _adrenal(canvas, patient, centre, sign, ids.get(f"adrenal_gland_{side}", 0))


def _adrenal(canvas: Canvas, patient: Patient, centre, sign, label) -> None:
    """Two thin limbs that meet in front: the inverted V of the axial slice."""
    for angle, length in ((28, 15), (-24, 14)):
        turn = shapes.rotation((0, 0, sign * angle))
        offset = turn @ np.array([0, -length * 0.55, 0])
        radii = patient.size((4.2, length, 17), 0.10, 0.06)
        block, d = canvas.ellipsoid(centre + offset, radii, turn)
        canvas.blend(block, d, patient.hu["adrenal_gland"], label)


def _stomach(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    hu = patient.hu
    filling = patient.rng.uniform(0.72, 1.12)
    course = patient.path(
        [(-48, -14, 152), (-58, 8, 126), (-58, 32, 94), (-38, 52, 64), (-4, 56, 52), (26, 44, 56)], 4.0, 3.0
    )
    radii = filling * np.array([27, 32, 29, 24, 18, 12])
    block, d = canvas.tube(course, radii, within=cavity.below_diaphragm)
    _, y, _ = canvas.at(block)
    level = patient.rng.normal(34, 12)
    content = np.where(y > level, hu["gas"], hu["fluid"] + 8).astype(np.float32)
    _hollow(canvas, patient, block, d, hu["stomach"], ids.get("stomach", 0), content, 4.5)
    gullet = patient.path([(-8, -30, 230), (-10, -24, 190), (-16, -16, 168), (-30, -8, 156)], 1.5, 1.0)
    block, d = canvas.tube(gullet, [8.5, 9, 9.5, 10])
    canvas.blend(block, d, hu["esophagus"], ids.get("esophagus", 0))
    canvas.blend(block, d + 6, 0.4 * hu["gas"] * (patient.rng.uniform() < 0.4) + hu["esophagus"] * 0.6)


def _duodenum_and_pancreas(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    hu, rng = patient.hu, patient.rng
    loop = patient.path(
        [(28, 40, 54), (46, 20, 52), (52, 4, 28), (48, -6, 0), (26, -14, -14), (-2, -16, -12), (-24, -2, 8)], 4.0, 2.5
    )
    block, d = canvas.tube(loop, rng.uniform(10.5, 13.5, 4), within=cavity.abdomen)
    content = hu["fluid"] if rng.uniform() < 0.7 else 0.5 * (hu["fluid"] + hu["duodenum"])
    _hollow(canvas, patient, block, d, hu["duodenum"], ids.get("duodenum", 0), content)
    gland = patient.path(
        [(36, 4, 20), (30, 10, 38), (10, 14, 50), (-20, 10, 62), (-46, -4, 76), (-66, -18, 84)], 4.0, 2.5
    )
    radii = float(patient.size((1.0,), 0.12)[0]) * np.array([15, 15, 11, 11, 11, 9])
    block, d = canvas.tube(gland, radii, within=cavity.abdomen)
    lobules = ndimage.gaussian_filter(rng.normal(0, 1, d.shape).astype(np.float32), 1.0)
    d = d + 2.2 * lobules / (lobules.std() + 1e-6)
    canvas.blend(block, d, hu["pancreas"], ids.get("pancreas", 0))
    spine_line = gland[2:] - (0, 14, 2)
    vein = np.vstack([patient.path([(36, 2, 112), (22, 4, 84), (10, 2, 58)], 1.5, 1.0), spine_line[1:]])
    block, d = canvas.tube(vein, [7.5, 7.8, 7.5, 5.5, 5.2, 4.6], within=cavity.abdomen)
    canvas.blend(block, d, hu["portal_vein"], ids.get("portal_vein_and_splenic_vein", 0))


def _vessels(canvas: Canvas, patient: Patient, cavity: Cavity, ids) -> None:
    hu = patient.hu
    wander = patient.rng.normal(0, 3, 2)

    def beside_spine(points):
        return patient.path([(px + wander[0], py + wander[1], pz) for px, py, pz in points], 0.8, 1.2)

    radius = float(patient.size((10.8,), 0.09)[0])
    aorta = beside_spine(
        [(-12, -30, 232), (-12, -30, 170), (-10, -27, 110), (-9, -25, 50), (-8, -22, 0), (-6, -22, -40)]
    )
    block, d = canvas.tube(aorta, [radius * 1.1, radius, radius * 0.9])
    canvas.blend(block, d, hu["artery"], ids.get("aorta", 0))
    for sign in (1, -1):
        iliac = beside_spine([(-4, -22, -40), (sign * 24, -26, -72), (sign * 46, -20, -112), (sign * 62, 10, -165)])
        block, d = canvas.tube(iliac, [6.2, 5.4, 4.6])
        canvas.blend(block, d, hu["artery"], 0)
        vein = beside_spine([(10, -30, -52), (sign * 30, -38, -84), (sign * 54, -30, -120), (sign * 70, 2, -168)])
        block, d = canvas.tube(vein, [7, 6.5, 6])
        canvas.blend(block, d, hu["vein"], 0)
    for course, radii in (
        ([(-8, -16, 58), (-2, -4, 40), (4, 6, 0), (10, 20, -50)], [3.6, 3.4, 2.6]),
        ([(-8, -16, 72), (-8, -4, 76), (10, 2, 82)], [3.4, 3.0]),
    ):  # superior mesenteric artery, coeliac trunk
        block, d = canvas.tube(beside_spine(course), radii, per_segment=3)
        canvas.blend(block, d, hu["artery"], 0)
    block, d = canvas.tube(beside_spine([(12, 4, 54), (14, 10, 20), (18, 18, -30)]), [5.4, 5, 4], per_segment=3)
    canvas.blend(block, d, hu["vein"], 0)  # superior mesenteric vein
    cava = beside_spine([(12, -28, -52), (17, -26, 0), (19, -24, 50), (22, -18, 100), (20, -6, 150), (16, 6, 182)])
    block, d = canvas.tube(cava, float(patient.size((1,), 0.1)[0]) * np.array([10.5, 10.5, 10.8, 11.5, 12]))
    canvas.blend(block, d, hu["inferior_vena_cava"], ids.get("inferior_vena_cava", 0))
