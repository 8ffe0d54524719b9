"""Data sets for other people's segmenters: nnU-Net's raw layout or TotalSegmentator's, one scan in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pivm.datasets import read_labelled_ct
from pivm.datasets.listing import Subject
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.scans.label_names import write_label_names
from pivm.scans.nifti import write_volume
from pivm.synthesis.marks import DESCRIPTION, read_marks, write_synthetic_ct

FORMS = ("nnunet", "totalsegmentator")


def export(subjects: Mapping[str, Subject], label_set: LabelSet, folder: Path, form: str, policy: Policy, padding: str):
    """Write scans with their labels, in RAS+ orientation on their own grid; a synthetic CT keeps its marks.

    Args:
        subjects: name -> where it lies.
        form: one of :data:`FORMS`.
        padding: config key ``quality.padding``.

    Raises:
        DataError: a scan cannot be read.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = write_label_names(dict(enumerate(label_set.names, start=1)))
    synthetic = {name: marks for name, subject in subjects.items() if (marks := read_marks(subject.ct)) is not None}
    for name, subject in subjects.items():
        volume, read = read_labelled_ct(subject, label_set, policy, padding)
        labels = read.array
        if form == "nnunet":
            image = folder / "imagesTr" / f"{name}_0000.nii.gz"
            write_volume(volume.hu, volume.affine, image, description=DESCRIPTION if name in synthetic else "")
            write_volume(labels, volume.affine, folder / "labelsTr" / f"{name}.nii.gz", names)
        else:
            image = folder / name / "ct.nii.gz"
            if name in synthetic:
                write_synthetic_ct(volume.hu, volume.affine, image, synthetic[name])
            else:
                write_volume(volume.hu, volume.affine, image)
            for k, organ in enumerate(label_set.names, start=1):
                mask = (labels == k).astype(np.uint8)
                write_volume(mask, volume.affine, folder / name / "segmentations" / f"{organ}.nii.gz")
    if form == "nnunet":
        facts = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, **{organ: k for k, organ in enumerate(label_set.names, start=1)}},
            "numTraining": len(subjects),
            "file_ending": ".nii.gz",
        }
        (folder / "dataset.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        if synthetic:  # beside the images nnU-Net wants nothing else
            (folder / "synthetic.json").write_text(json.dumps(synthetic, indent=1) + "\n", encoding="utf-8")
    else:
        rows = ["image_id;split", *(f"{name};train" for name in subjects)]
        (folder / "meta.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
