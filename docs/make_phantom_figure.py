"""Draw docs/phantom.png: phantom patients with their labels, one of them with detail too.

Run: python docs/make_phantom_figure.py
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow_scripts"))
from pivm.datasets.phantom.scan import scan_patient  # noqa: E402
from pivm.labels import ORGANS_34  # noqa: E402
from pivm.report.drawing import draw, organ_legend, plt  # noqa: E402
from pivm.report.organ_colours import label_colours  # noqa: E402

LEVELS = ("vertebrae_T11", "vertebrae_L1", "vertebrae_L3", "sacrum")
#: patient, and whether with detail
PATIENTS = ((1, False), (2, False), (5, False), (5, True))


def main() -> None:
    colours = label_colours(ORGANS_34)
    colours[0] = 0
    colours[1:, 3] = 0.55
    figure, axes = plt.subplots(len(PATIENTS), 6, figsize=(14.5, 10.2))
    for line, (index, detail) in zip(axes, PATIENTS, strict=True):
        hu, labels, _, patient = scan_patient(seed=7, index=index, matrix=192, slice_spacing=4.0, detail=detail)
        for axis, name in zip(line, LEVELS, strict=False):
            z = int(np.median(np.nonzero(labels == ORGANS_34.index(name) + 1)[2]))
            draw(axis, "hu", hu[::-1, ::-1, z].T)
            kind = f"{patient.phase}{', detail' if detail else ''}"
            axis.set_title(f"{kind}, {name.replace('vertebrae_', '')}", fontsize=9)
        z = int(np.median(np.nonzero(labels == ORGANS_34.index("vertebrae_L1") + 1)[2]))
        draw(line[4], "hu", hu[::-1, ::-1, z].T)
        line[4].imshow(colours[labels[::-1, ::-1, z].T], interpolation="nearest")
        line[4].set_title("labels at L1", fontsize=9)
        y = int(hu.shape[1] * 0.52)
        draw(line[5], "hu", hu[::-1, y, ::-1].T)
        line[5].set_aspect(4.0 / patient.spacing[0])
        line[5].set_title("coronal", fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.tight_layout(pad=0.4, rect=(0, 0.06, 1, 1))
    organ_legend(figure, ORGANS_34, 0, columns=9, body=False)
    figure.savefig(ROOT / "docs" / "phantom.png", dpi=75)


if __name__ == "__main__":
    main()
