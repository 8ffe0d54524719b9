"""Data sets for other people's segmenters: nnU-Net's raw layout or TotalSegmentator's, one scan in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pivm.datasets import read_labelled_ct
from pivm.datasets.listing import Subject
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.scans.label_names import write_label_names
from pivm.scans.nifti import write_volume
from pivm.synthesis.folds import Fold
from pivm.synthesis.marks import DESCRIPTION, read_marks, write_synthetic_ct

FORMS = ("nnunet", "totalsegmentator")


class Export(NamedTuple):
    """What is exported: ``original``, ``generated`` or ``combined``, in one of :data:`FORMS`."""

    part: str
    form: str


@dataclass(frozen=True)
class Reading:
    """How scans and labels are read.

    Attributes:
        label_set: of the run.
        policy: for voxels and grids that do not agree.
        padding: config key ``quality.padding``.
    """

    label_set: LabelSet
    policy: Policy
    padding: str


def export_totalsegmentator(subjects: Mapping[str, Subject], folder: Path, how: Reading) -> None:
    """Write scans with a mask for each label, in RAS+ orientation on their own grid; a synthetic CT keeps its marks.

    Args:
        subjects: name -> where it lies.
        folder: to be made.
        how: they are read.

    Raises:
        DataError: a scan cannot be read.
    """
    for name, subject in subjects.items():
        volume, read = read_labelled_ct(subject, how.label_set, how.policy, how.padding)
        image, marks = folder / name / "ct.nii.gz", read_marks(subject.ct)
        if marks is None:
            write_volume(volume.hu, volume.affine, image)
        else:
            write_synthetic_ct(volume.hu, volume.affine, image, marks)
        for k, organ in enumerate(how.label_set.names, start=1):
            mask = (read.array == k).astype(np.uint8)
            write_volume(mask, volume.affine, folder / name / "segmentations" / f"{organ}.nii.gz")
    rows = ["image_id;split", *(f"{name};train" for name in subjects)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def export_nnunet(
    subjects: Mapping[str, Subject], held_out: Mapping[str, Subject], folder: Path, how: Reading, folds: Sequence[Fold]
) -> None:
    """Write ``imagesTr`` and ``labelsTr``, ``imagesTs`` and ``labelsTs``, ``dataset.json`` and the folds.

    The marks of synthetic CT stand in ``synthetic.json``: beside the images nnU-Net wants nothing else.

    Args:
        subjects: name -> where it lies, of scans to train and validate on.
        held_out: the same of test patients.
        folder: ``Dataset<NNN>_<name>``, to be made.
        how: they are read.
        folds: ``splits_final.json`` for nnU-Net's folder of preprocessed data; not written where there are none.

    Raises:
        DataError: a scan cannot be read.
    """
    names = write_label_names(dict(enumerate(how.label_set.names, start=1)))
    synthetic = {name: marks for name, subject in subjects.items() if (marks := read_marks(subject.ct)) is not None}
    for part, chosen in (("Tr", subjects), ("Ts", held_out)):
        for name, subject in chosen.items():
            volume, read = read_labelled_ct(subject, how.label_set, how.policy, how.padding)
            image = folder / f"images{part}" / f"{name}_0000.nii.gz"
            write_volume(volume.hu, volume.affine, image, description=DESCRIPTION if name in synthetic else "")
            write_volume(read.array, volume.affine, folder / f"labels{part}" / f"{name}.nii.gz", names)
    facts = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **{organ: k for k, organ in enumerate(how.label_set.names, start=1)}},
        "numTraining": len(subjects),
        "file_ending": ".nii.gz",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("dataset", facts), ("synthetic", synthetic), ("splits_final", list(folds))):
        if content:
            (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
