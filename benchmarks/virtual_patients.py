"""Time of virtual patients, and whether a deformation tears organs.

    python benchmarks/virtual_patients.py FOLDER [--parents 8] [--patients 35] [--size 64]

FOLDER holds scans in TotalSegmentator's layout (data/phantom after a run). Each of the first scans with a CT is a
parent in turn, under the default `synthesis.augmented`. Prints processor time with the CT under the same deformation,
without reading the parents, and of the organs that are one piece (26 neighbours) how many are more or none afterwards.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from common import report
from pivm.datasets.listing import Subject
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.synthesis.settings import AnatomySettings
from pivm.synthesis.virtual.patients import virtual_patient
from pivm.synthesis.virtual.spread import fit_spread
from pivm.synthesis.virtual.stacks import bones_of, read_stack
from scipy import ndimage

TOUCHING = np.ones((3, 3, 3), bool)


def pieces(labels: np.ndarray, organ: int) -> int:
    """Connected pieces of an organ in labels [S, H, W]."""
    return ndimage.label(labels == organ, TOUCHING)[1]


def main(options: argparse.Namespace) -> None:
    labels, settings = LabelSet.from_config(34), AnatomySettings()
    bones = bones_of(labels)
    folders = sorted(path.parent for path in options.folder.glob("*/ct.nii.gz"))[: options.parents]
    subjects = [Subject("totalsegmentator", str(f / "ct.nii.gz"), str(f / "segmentations")) for f in folders]
    parents = [read_stack(s, labels, options.size, Policy("first", "error"), "air") for s in subjects]
    spread = fit_spread(((one.labels, one.body, one.spacing_mm) for one in parents), bones)
    seconds, whole, lost, torn = 0.0, 0, [], 0
    for number in range(options.patients):
        parent, began = parents[number % len(parents)], time.process_time()
        made = virtual_patient(parent, bones, settings, spread, number, "benchmark").stack
        seconds += time.process_time() - began
        for organ in np.unique(parent.labels)[1:]:
            if pieces(parent.labels, organ) == 1:
                whole, left = whole + 1, pieces(made.labels, organ)
                torn += left > 1
                lost += [int((parent.labels == organ).sum())] if left == 0 else []
    report(
        {
            "virtual patients": options.patients,
            "processor seconds": seconds,
            "label maps": sum(len(parents[i % len(parents)].labels) for i in range(options.patients)),
            "organs of one piece": whole,
            "of these in pieces": torn,
            "of these lost, voxels before": ", ".join(map(str, lost)) or "none",
        }
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parents", type=int, default=8)
    parser.add_argument("--patients", type=int, default=35)
    parser.add_argument("--size", type=int, default=64)
    main(parser.parse_args())
