"""Whole synthetic CT volumes on the grid of their source, in TotalSegmentator's layout (paper, section 2.2)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from pivm.cohort.prior import Prior
from pivm.datasets import read_labelled_ct, read_labels
from pivm.datasets.listing import Subject
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.scans.nifti import write_volume
from pivm.synthesis.marks import write_synthetic_ct
from pivm.synthesis.source import LabelSource, standard_source


def read_source(
    name: str, subject: Subject, label_set: LabelSet, size: int, policy: Policy, padding: str, prior: Prior
) -> LabelSource:
    """Read the labels of a subject and bring every axial slice to the in-plane standard.

    Args:
        padding: config key ``quality.padding``, as at preparation.

    Raises:
        DataError: CT or labels cannot be used.
    """
    if subject.ct:
        volume, labels = read_labelled_ct(subject, label_set, policy, padding)
    else:
        volume, labels = None, read_labels(subject, label_set, None, policy)
    return standard_source(name, labels, volume, size, prior)


def write_synthetic(source: LabelSource, hu: np.ndarray, label_set: LabelSet, folder: Path, facts: dict) -> None:
    """Write ``ct.nii.gz``, ``ct.json`` and ``segmentations/`` with the affine of the source.

    Args:
        hu: int16 [S, size, size], one generated slice per axial slice of the source.
        facts: how it was made (:mod:`pivm.synthesis.marks`).
    """
    folder = Path(folder)
    write_synthetic_ct(source.plane.restore(hu), source.grid.affine, folder / "ct.nii.gz", facts)
    for k, name in enumerate(label_set.names, start=1):
        mask = (source.labels == k).astype(np.uint8)
        write_volume(mask, source.grid.affine, folder / "segmentations" / f"{name}.nii.gz")


def write_provenance(rows: list[dict], path: Path) -> None:
    """``meta.csv`` of the synthetic data set: id, source subject, generator, seed and model hash."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=";", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
