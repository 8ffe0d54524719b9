"""Whole volumes through the segmenter of slices: to the in-plane standard and back to the grid of the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pivm.datasets import read_labelled_ct
from pivm.datasets.listing import Subject
from pivm.labels import LabelSet
from pivm.scans.inplane import AIR_HU, InPlane
from pivm.scans.label_maps import Policy
from pivm.scans.nifti import Grid
from pivm.segmentation.segmenter import Segmenter


@dataclass(frozen=True)
class Scan:
    """A CT with its labels on one grid.

    Attributes:
        grid: of both.
        hu: int16 [R, A, S].
        truth: uint8 [S, A, R], slices first.
    """

    grid: Grid
    hu: np.ndarray
    truth: np.ndarray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Of :attr:`truth`: between slices, along A and along R."""
        right, anterior, superior = self.grid.spacing
        return superior, anterior, right


def read_scan(subject: Subject, label_set: LabelSet, policy: Policy, padding: str) -> Scan:
    """Read CT and labels.

    Args:
        subject: with a CT.
        label_set: of the run.
        policy: for voxels and grids that do not agree.
        padding: config key ``quality.padding``, as at preparation.

    Raises:
        DataError: CT or labels cannot be used.
    """
    volume, labels = read_labelled_ct(subject, label_set, policy, padding)
    return Scan(volume.grid, volume.hu, labels.array.transpose(2, 1, 0))


def predict_volume(segmenter: Segmenter, scan: Scan, size: int, batch: int) -> np.ndarray:
    """Segment every slice.

    Args:
        segmenter: trained on slices of ``size``.
        scan: what to segment.
        size: pixels per side of a standardised slice.
        batch: slices at once.

    Returns:
        uint8 [S, A, R], as :attr:`Scan.truth`.
    """
    plane = InPlane(scan.hu.shape[:2], scan.grid.spacing[:2], size)
    labels = segmenter.predict(plane.standardise(scan.hu, AIR_HU, smooth=True), batch)
    return plane.restore(labels, smooth=False).transpose(2, 1, 0)
