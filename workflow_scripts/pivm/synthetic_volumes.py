"""Whole synthetic CT volumes on the grid of their source, in TotalSegmentator's layout (paper, section 2.2)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pivm.datasets import read_ct, read_labels
from pivm.datasets.listing import Subject
from pivm.inplane import AIR_HU, InPlane, fit_margins, outline, outline_from_labels
from pivm.label_maps import Policy
from pivm.labels import LabelSet
from pivm.prior import Prior
from pivm.slices import SliceStore
from pivm.volumes import Grid, write_volume


@dataclass
class Source:
    """One subject whose labels are synthesised.

    Attributes:
        grid: of its CT, or of its labels where it has no CT; labels: uint8 [R, A, S];
        label_map: uint8 [S, H, W], what the generator is given; plane: the in-plane geometry.
    """

    subject: str
    grid: Grid
    labels: np.ndarray
    label_map: np.ndarray
    plane: InPlane


def training_margins(store: SliceStore, most: int = 500) -> tuple[float, float, float]:
    """The margins in mm between organs and outline (:func:`pivm.inplane.fit_margins`) of the training split.

    Args:
        most: slices looked at, evenly spread over the split.
    """
    rows = store.rows("train")
    rows = rows[:: max(len(rows) // most, 1)]
    return fit_margins(store.labels[rows], store.body[rows], store.index["pixel_mm"].to_numpy()[rows])


def read_source(
    name: str,
    subject: Subject,
    label_set: LabelSet,
    size: int,
    policy: Policy,
    prior: Prior,
    margins_mm: tuple[float, float, float],
) -> Source:
    """Read the labels of a subject and bring every axial slice to the in-plane standard.

    The patient's outline comes from the CT; where there is none, from the labels and ``margins_mm``
    (:func:`pivm.inplane.fit_margins`).

    Raises:
        DataError: CT or labels cannot be used.
    """
    volume = read_ct(subject) if subject.ct else None
    labels = read_labels(subject, label_set, volume.grid if volume else None, policy)
    plane = InPlane(labels.grid.shape[:2], labels.grid.spacing[:2], size)
    slices = plane.standardise(labels.array, 0, smooth=False)
    if volume:
        body = outline(plane.standardise(volume.hu, AIR_HU, smooth=True), slices, plane.pixel_mm)
    else:
        body = outline_from_labels(slices, plane.pixel_mm, margins_mm)
    return Source(name, labels.grid, labels.array, prior.label_map(slices, body), plane)


def write_synthetic(source: Source, hu: np.ndarray, label_set: LabelSet, folder: Path) -> None:
    """Write ``ct.nii.gz`` and ``segmentations/`` with the affine of the source.

    Args:
        hu: int16 [S, size, size], one generated slice per axial slice of the source.
    """
    folder = Path(folder)
    write_volume(source.plane.restore(hu), source.grid.affine, folder / "ct.nii.gz")
    for k, name in enumerate(label_set.names, start=1):
        mask = (source.labels == k).astype(np.uint8)
        write_volume(mask, source.grid.affine, folder / "segmentations" / f"{name}.nii.gz")


def write_provenance(rows: list[dict], path: Path) -> None:
    """``meta.csv`` of the synthetic data set: id, source subject, generator, seed and model hash."""
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=";", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
