"""Whole synthetic CT volumes on the grid of their source, in TotalSegmentator's layout (paper, section 2.2)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pivm.cohort.prior import Prior
from pivm.datasets import read_ct, read_labels
from pivm.datasets.listing import Subject
from pivm.evaluation.continuity import compare_z_steps
from pivm.labels import LabelSet
from pivm.learning.device import memory_hint
from pivm.scans.inplane import AIR_HU, InPlane
from pivm.scans.label_maps import Policy
from pivm.scans.nifti import Grid, write_volume
from pivm.scans.outline import outline, outline_from_labels
from pivm.scans.quality import clean_padding
from pivm.seeds import derived_seed


@dataclass
class Source:
    """One subject whose labels are synthesised.

    Attributes:
        grid: of its CT, or of its labels where it has no CT.
        labels: uint8 [R, A, S].
        label_map: uint8 [S, H, W], what the generator is given.
        plane: the in-plane geometry.
        hu: int16 [S, H, W], the real CT in the same standard form, to compare with; ``None`` without CT.
    """

    subject: str
    grid: Grid
    labels: np.ndarray
    label_map: np.ndarray
    plane: InPlane
    hu: np.ndarray | None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Of the standardised slices along W, H and z, mm."""
        return self.plane.pixel_mm, self.plane.pixel_mm, self.grid.spacing[2]


def read_source(
    name: str, subject: Subject, label_set: LabelSet, size: int, policy: Policy, padding: str, prior: Prior
) -> Source:
    """Read the labels of a subject and bring every axial slice to the in-plane standard.

    The patient's outline comes from the CT; where there is none, from the labels and the margins of the training
    split (:func:`pivm.scans.outline.outline_from_labels`).

    Args:
        padding: config key ``quality.padding``, as at preparation.

    Raises:
        DataError: CT or labels cannot be used.
    """
    volume = read_ct(subject) if subject.ct else None
    if volume:
        clean_padding(volume, "air" if padding == "aside" else padding)
    labels = read_labels(subject, label_set, volume.grid if volume else None, policy)
    plane = InPlane(labels.grid.shape[:2], labels.grid.spacing[:2], size)
    slices = plane.standardise(labels.array, 0, smooth=False)
    hu = plane.standardise(volume.hu, AIR_HU, smooth=True) if volume else None
    if hu is None:
        body = outline_from_labels(slices, plane.pixel_mm, prior.outline_margins_mm)
    else:
        body = outline(hu, slices, plane.pixel_mm)
    return Source(name, labels.grid, labels.array, prior.label_map(slices, body), plane, hu)


def continuity(source: Source, hu: np.ndarray, generator, prior: Prior, batch: int, seed: int) -> pd.DataFrame:
    """HU steps along z inside organs: the real CT, the sequential volume, and slices generated independently.

    Args:
        hu: int16 [S, H, W], the sequential volume.
        batch: slices at a time for the independent ones.

    Returns:
        As :func:`pivm.evaluation.continuity.compare_z_steps`, with a column ``source``; no ``real`` where the
        source has no CT.
    """
    seeds = [derived_seed(seed, "independent", z) for z in range(len(hu))]
    starts = range(0, len(hu), batch)
    with memory_hint(*generator.memory_setting("synthesis.batch", batch)):
        alone = [generator.generate(source.label_map[i : i + batch], seeds[i : i + batch]) for i in starts]
    volumes = {"sequential": hu, "independent": np.concatenate(alone)}
    if source.hu is not None:
        volumes = {"real": source.hu, **volumes}
    return compare_z_steps(volumes, source.label_map, prior.names).assign(source=source.subject)


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
