"""Whole synthetic CT volumes on the grid of their source, in TotalSegmentator's layout (paper, section 2.2)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pivm.evaluation.continuity import compare_z_steps
from pivm.inplane import AIR_HU, InPlane, outline
from pivm.labels import LabelSet
from pivm.prior import Prior
from pivm.training import derived_seed
from pivm.volumes import Volume, read_ct, read_label_map, write_volume


@dataclass
class Source:
    """One scan whose labels are synthesised.

    Attributes:
        volume: the real CT, used for its grid and the patient's outline alone; labels: uint8 [R, A, S];
        label_map: uint8 [S, H, W], what the generator is given; plane: the in-plane geometry.
        hu: int16 [S, H, W], the real CT in the same standard form, to compare with.
    """

    subject: str
    volume: Volume
    labels: np.ndarray
    label_map: np.ndarray
    plane: InPlane
    hu: np.ndarray


def read_source(
    subject: str, ct: Path, masks: dict[str, Path], label_set: LabelSet, size: int, overlap: str, prior: Prior
) -> Source:
    """Read the labels of a scan and bring every axial slice to the in-plane standard."""
    volume = read_ct(ct)
    ids = {label_set.id_of(name): path for name, path in masks.items()}
    labels, _, _ = read_label_map(ids, volume, overlap)
    plane = InPlane(volume.hu.shape[:2], volume.spacing[:2], size)
    slices = plane.standardise(labels, 0, smooth=False)
    hu = plane.standardise(volume.hu, AIR_HU, smooth=True)
    body = outline(hu, slices, plane.pixel_mm)
    return Source(subject, volume, labels, prior.label_map(slices, body), plane, hu)


def continuity(source: Source, hu: np.ndarray, generator, prior: Prior, batch: int, seed: int) -> pd.DataFrame:
    """HU steps along z inside organs: the real CT, the sequential volume, and slices generated independently.

    Args:
        hu: int16 [S, H, W], the sequential volume; batch: slices at a time for the independent ones.

    Returns:
        As :func:`pivm.evaluation.continuity.compare_z_steps`, with a column ``source``.
    """
    seeds = [derived_seed(seed, "independent", z) for z in range(len(hu))]
    starts = range(0, len(hu), batch)
    alone = [generator.generate(source.label_map[i : i + batch], seeds[i : i + batch]) for i in starts]
    volumes = {"real": source.hu, "sequential": hu, "independent": np.concatenate(alone)}
    return compare_z_steps(volumes, source.label_map, prior.names).assign(source=source.subject)


def write_synthetic(source: Source, hu: np.ndarray, label_set: LabelSet, folder: Path) -> None:
    """Write ``ct.nii.gz`` and ``segmentations/`` with the affine of the source.

    Args:
        hu: int16 [S, size, size], one generated slice per axial slice of the source.
    """
    folder = Path(folder)
    write_volume(source.plane.restore(hu), source.volume.affine, folder / "ct.nii.gz")
    for k, name in enumerate(label_set.names, start=1):
        mask = (source.labels == k).astype(np.uint8)
        write_volume(mask, source.volume.affine, folder / "segmentations" / f"{name}.nii.gz")


def write_provenance(rows: list[dict], path: Path) -> None:
    """``meta.csv`` of the synthetic data set: id, source subject, generator, seed and model hash."""
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=";", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
