"""Draw docs/offspring.png: a phantom patient and eight virtual ones. Run: python docs/make_offspring_figure.py"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgba

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow_scripts"))
from pivm.datasets.phantom.scan import scan_patient  # noqa: E402
from pivm.labels import ORGANS_34, LabelSet  # noqa: E402
from pivm.report.drawing import organ_legend, plt, present  # noqa: E402
from pivm.report.organ_colours import BODY, label_colours  # noqa: E402
from pivm.scans.inplane import AIR_HU, InPlane  # noqa: E402
from pivm.scans.outline import outline  # noqa: E402
from pivm.synthesis.settings import AnatomySettings  # noqa: E402
from pivm.synthesis.virtual.patients import Stack, virtual_patient  # noqa: E402
from pivm.synthesis.virtual.spread import fit_spread  # noqa: E402
from pivm.synthesis.virtual.stacks import bones_of  # noqa: E402

SEED, MATRIX, SLICE_SPACING, FITTED_ON, OFFSPRING = 7, 128, 5.0, 8, 8
LEVEL, PLANE = "vertebrae_L1", ("kidney_right", "kidney_left")
COLUMNS = 3


def stack_of(index: int) -> Stack:
    """A phantom patient in standard form, at full matrix."""
    hu, labels, _, patient = scan_patient(seed=SEED, index=index, matrix=MATRIX, slice_spacing=SLICE_SPACING)
    plane = InPlane(hu.shape[:2], tuple(patient.spacing[:2]), MATRIX)
    hu, labels = plane.standardise(hu, AIR_HU, smooth=True), plane.standardise(labels, 0, smooth=False)
    return Stack(labels, outline(hu, labels, plane.pixel_mm), hu, (SLICE_SPACING, plane.pixel_mm, plane.pixel_mm))


def show(axis, labels: np.ndarray, body: np.ndarray, colours: np.ndarray, aspect: float, top: str) -> None:
    picture = colours[labels]
    picture[(labels == 0) & body] = to_rgba(BODY)
    axis.imshow(picture, interpolation="nearest", aspect=aspect)
    axis.set_axis_off()
    text = {"color": "white", "fontsize": 7, "transform": axis.transAxes, "va": "center", "ha": "center"}
    axis.text(0.04, 0.5, "R", **text)
    axis.text(0.96, 0.5, "L", **text)
    axis.text(0.5, 0.96, top, **text)


def main() -> None:
    stacks = [stack_of(index) for index in range(FITTED_ON)]
    bones = bones_of(LabelSet(ORGANS_34))
    spread = fit_spread([(s.labels, s.body, s.spacing_mm) for s in stacks], bones)
    patient = stacks[0]
    made = [virtual_patient(patient, bones, AnatomySettings(), spread, n, "patient") for n in range(OFFSPRING)]
    colours = label_colours(ORGANS_34)
    shown = [patient, *(virtual.stack for virtual in made)]
    rows = -(-len(shown) // COLUMNS)
    figure, axes = plt.subplots(rows, 2 * COLUMNS, figsize=(2.2 * 2 * COLUMNS, 2.35 * rows), layout="compressed")
    painted = []
    for n, (pair, one) in enumerate(zip(axes.reshape(-1, 2), shown, strict=True)):
        z = int(np.median(np.nonzero(one.labels == ORGANS_34.index(LEVEL) + 1)[0]))
        # the plane of its own kidneys: a plane of the patient's would cut them elsewhere
        y = int(np.median(np.nonzero(np.isin(one.labels, [ORGANS_34.index(organ) + 1 for organ in PLANE]))[1]))
        show(pair[0], one.labels[z], one.body[z], colours, 1, "A")
        aspect = one.spacing_mm[0] / one.spacing_mm[2]
        show(pair[1], one.labels[::-1, y], one.body[::-1, y], colours, aspect, "S")
        pair[0].set_title("patient" if n == 0 else f"virtual {n}", fontsize=11, loc="left")
        painted += [one.labels[z], one.labels[:, y]]
    organ_legend(figure, present(ORGANS_34, painted), -0.16, columns=7)
    figure.savefig(ROOT / "docs" / "offspring.png", dpi=110, bbox_inches="tight", pad_inches=0.05)
    for number, virtual in enumerate(made, start=1):
        print(number, {key: virtual.transform[key] for key in ("strength", "redrawn", "jacobian", "girth")})


if __name__ == "__main__":
    main()
