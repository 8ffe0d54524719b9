"""Organ means of single scans: what a prior per patient is fitted to (paper, section 3.1, for each patient)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pivm.cohort.organ_means import CLIP_HU, SMALLEST_SD
from pivm.cohort.prior import Prior
from pivm.generators.patient_means import PatientMeans

if TYPE_CHECKING:
    from pivm.generators.diffusion.settings import OrganMeansSettings
    from pivm.generators.training_data import TrainingData


#: a label whose pixels are all alike in a scan still keeps noise of their own
LARGEST_COMMON = 0.9


@dataclass(frozen=True)
class OrganMoments:
    """Sums over the pixels of each scan and label, int64 [scans, K].

    Attributes:
        pixels: how many.
        clipped: of the HU that means are taken from: clipped as in the paper inside organs.
        plain: of the HU.
        squared: of their squares.
    """

    pixels: np.ndarray
    clipped: np.ndarray
    plain: np.ndarray
    squared: np.ndarray

    @classmethod
    def of(cls, hu: np.ndarray, label_map: np.ndarray, scan: np.ndarray, scans: int, prior: Prior) -> OrganMoments:
        """Sum up slices.

        Args:
            hu: int16 [N, H, W].
            label_map: ids [N, H, W].
            scan: of each slice, counted from 0, int [N].
            scans: how many there are.
            prior: says which ids are organs.
        """
        hu = hu.astype(np.int64)
        organ = label_map > 0
        if prior.kind == "body":
            organ &= label_map < prior.classes - 1
        cell = (scan[:, None, None] * prior.classes + label_map).ravel()
        values = np.ones_like(hu), np.where(organ, hu.clip(*CLIP_HU), hu), hu, hu * hu
        # float64 holds these sums exactly: below 2^53
        sums = [np.bincount(cell, v.ravel(), scans * prior.classes).astype(np.int64) for v in values]
        return cls(*(s.reshape(scans, prior.classes) for s in sums))

    @classmethod
    def of_data(cls, data: TrainingData, chunk: int = 256) -> OrganMoments:
        """Of the target slices of every scan of some data."""
        parts = [
            cls.of(*data.arrays(slice(start, start + chunk)), data.scan[start : start + chunk], data.scans, data.prior)
            for start in range(0, len(data), chunk)
        ]
        return cls(*(np.sum(columns, axis=0) for columns in zip(*(p._fields() for p in parts), strict=True)))

    def means(self, prior: Prior, shrink_pixels: float) -> np.ndarray:
        """Each scan's organ means, as if ``shrink_pixels`` more had the data set's mean; NaN for labels it lacks.

        Returns:
            HU, float64 [scans, K].
        """
        shared = np.asarray(prior.means)
        means = (self.clipped + shrink_pixels * shared) / np.maximum(self.pixels + shrink_pixels, 1)
        means[self.pixels == 0] = np.nan
        if prior.kind == "paper":
            means[:, 0] = 0.0  # the paper's background, whatever it holds
        return means

    def scales(self, means: np.ndarray) -> tuple[float, tuple[float, ...]]:
        """Root mean square of x - m over all pixels, and over those of each label, HU.

        Args:
            means: m, HU [scans, K].

        Returns:
            ``variation_sd`` and ``organ_sd`` of a :class:`pivm.cohort.prior.Prior` that subtracts these means.
        """
        return own_scales(self._squares(means).sum(0).clip(0), self.pixels.sum(0))

    def _squares(self, means: np.ndarray | float) -> np.ndarray:
        """Sums of the squares of x - m, [scans, K]."""
        return self.squared - 2 * means * self.plain + self.pixels * means**2

    def common(self, means: np.ndarray | float = 0.0) -> np.ndarray:
        """The share of the variance of x - m in each label that is between scans, float64 [K], 0 up to below 1.

        The intraclass correlation from the mean squares of a one-way analysis of variance with groups of unequal size:
        unbiased variances, so few scans, or scans with few pixels, make it neither smaller nor larger on average. 0 for
        a label of a single scan.

        Args:
            means: m, HU [scans, K], or one number.
        """
        pixels, scans = self.pixels.sum(0), (self.pixels > 0).sum(0)
        sums = self.plain - self.pixels * means
        own = sums / np.maximum(self.pixels, 1)
        within = (self._squares(means) - self.pixels * own**2).sum(0).clip(0) / np.maximum(pixels - scans, 1)
        between = (self.pixels * (own - sums.sum(0) / np.maximum(pixels, 1)) ** 2).sum(0) / np.maximum(scans - 1, 1)
        size = (pixels - (self.pixels.astype(float) ** 2).sum(0) / np.maximum(pixels, 1)) / np.maximum(scans - 1, 1)
        variance = np.where(scans > 1, (between - within).clip(0) / np.maximum(size, 1), 0.0)
        return (variance / np.maximum(variance + within, np.finfo(float).tiny)).clip(0, LARGEST_COMMON)

    def _fields(self) -> tuple[np.ndarray, ...]:
        return self.pixels, self.clipped, self.plain, self.squared


def own_scales(square: np.ndarray, pixels: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """``variation_sd`` and ``organ_sd`` of a :class:`pivm.cohort.prior.Prior` from sums over the pixels of each label.

    Args:
        square: of the squares of what is left of HU, float64 [K].
        pixels: of ones, [K].
    """
    whole = float(np.sqrt(square.sum() / pixels.sum()))
    own = np.sqrt(square / np.maximum(pixels, 1)).clip(SMALLEST_SD, max(whole, SMALLEST_SD))
    return whole, tuple(own.tolist())


class FittedPatients(NamedTuple):
    """What :func:`fit_patients` fits.

    Attributes:
        patients: distribution of organ means.
        prior: with the scales of what is left when each scan's own means are subtracted.
        own: these means, HU, float64 [scans, K].
    """

    patients: PatientMeans
    prior: Prior
    own: np.ndarray


def fit_patients(data: TrainingData, moments: OrganMoments, options: OrganMeansSettings) -> FittedPatients:
    """Organ means of every training scan, their distribution, and the scales that go with them.

    A scan is one patient of the distribution; the scans of one person together weigh as much as one.
    """
    prior = data.prior
    means = moments.means(prior, options.shrink_pixels)
    patients = PatientMeans.fit(means, data.scan_weights(), np.array(prior.means), options.components)
    own = np.stack([patients.completed(row) for row in means])
    variation_sd, organ_sd = moments.scales(own)
    return FittedPatients(patients, dataclasses.replace(prior, variation_sd=variation_sd, organ_sd=organ_sd), own)


def own_means(data: TrainingData, patients: PatientMeans, options: OrganMeansSettings) -> np.ndarray:
    """Organ means of every scan of some data, given a distribution that was fitted elsewhere, HU [scans, K]."""
    means = OrganMoments.of_data(data).means(data.prior, options.shrink_pixels)
    return np.stack([patients.completed(row) for row in means])
