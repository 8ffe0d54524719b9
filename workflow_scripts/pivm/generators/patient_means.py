"""The joint distribution of organ means over patients: low rank plus diagonal, shrunk by the number of patients.

A prior per patient subtracts the patient's own organ means, and a synthetic patient needs means of its own: one draw
from this distribution, which all its slices share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pivm.seeds import derived_seed

#: rounds of estimation; the estimates of the phantom settle within ten
_ROUNDS = 20
#: smallest share of a label's variance that is its own: no label is a function of others
_OWN_SHARE = 1e-3


@dataclass(frozen=True)
class PatientMeans:
    """m = mean + z @ factors + spread * e, with z and e standard normal.

    Attributes:
        mean: HU per id of the label map, float64 [K].
        factors: HU, float64 [R, K]: what organs have in common, such as the phase of the contrast agent.
        spread: standard deviation of what a label has for itself, HU, float64 [K].
    """

    mean: np.ndarray
    factors: np.ndarray
    spread: np.ndarray

    @classmethod
    def certain(cls, means: np.ndarray, components: int) -> PatientMeans:
        """All patients alike."""
        means = np.asarray(means, np.float64)
        return cls(means, np.zeros((components, len(means))), np.zeros(len(means)))

    @classmethod
    def fit(cls, own: np.ndarray, weights: np.ndarray, shared: np.ndarray, components: int) -> PatientMeans:
        """Fit it to the organ means of patients.

        The data set's means count as one patient more, and variances are divided by the number of patients with it: few
        patients draw towards the data set's means. Correlations shrink towards 0 by the oracle approximating shrinkage
        of Chen, Wiesel, Eldar and Hero (IEEE Transactions on Signal Processing 58(10), 2010, eq. 23), which knows no
        parameter but the number of patients. The components are those of a principal factor analysis. A label that a
        patient lacks is estimated by the EM algorithm (conditional mean, and its variance).

        Args:
            own: HU, float64 [P, K], NaN where a patient lacks a label.
            weights: of the P rows; they sum up to the number of persons.
            shared: the data set's means, HU [K].
            components: rank R.
        """
        own, weights = np.vstack([own, shared]), np.append(weights, 1.0)
        known = np.isfinite(own)
        mean = np.asarray(shared, np.float64)
        start = (np.where(known, own - mean, 0) ** 2 * weights[:, None]).sum(0) / weights.sum()
        fitted = cls(mean, np.zeros((components, len(mean))), np.sqrt(start))
        for _ in range(_ROUNDS):
            posteriors = [fitted._posterior(known[i], own[i]) for i in range(len(own))]
            full = np.stack([mean for mean, _ in posteriors])
            mean = np.average(full, axis=0, weights=weights)
            residual = full - mean
            covariance = (residual * weights[:, None]).T @ residual
            covariance += sum(w * missing for w, (_, missing) in zip(weights, posteriors, strict=True))
            fitted = cls(mean, *_factors(covariance / weights.sum(), weights.sum(), components))
        return fitted

    def draw(self, seed: int) -> np.ndarray:
        """The organ means of one synthetic patient, HU, float64 [K]; the same for the same seed on every machine."""
        rng = np.random.default_rng(derived_seed(seed, "organ means"))
        shared, own = rng.standard_normal(len(self.factors)), rng.standard_normal(len(self.mean))
        return self.mean + shared @ self.factors + own * self.spread

    def completed(self, own: np.ndarray) -> np.ndarray:
        """The means of a patient [K] with what is NaN replaced by its conditional mean."""
        return self._posterior(np.isfinite(own), own)[0]

    def given(self, known: Mapping[int, float]) -> PatientMeans:
        """The distribution of patients some of whose means are known.

        Args:
            known: id of the label map -> HU.
        """
        ids = np.array(sorted(known), int)
        values = np.array([known[k] for k in ids.tolist()], np.float64)
        shift, root = self._scores(ids, values)
        mean, factors, spread = self.mean + shift @ self.factors, root.T @ self.factors, self.spread.copy()
        mean[ids], factors[:, ids], spread[ids] = values, 0.0, 0.0
        return PatientMeans(mean, factors, spread)

    def _scores(self, ids: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean [R] and a root of the covariance [R, R] of the factor scores z, given some means."""
        loadings = self.factors[:, ids]
        covariance = loadings.T @ loadings + np.diag(self.spread[ids] ** 2)
        gain = loadings @ np.linalg.pinv(covariance, hermitian=True)
        values_left, vectors = np.linalg.eigh(np.eye(len(loadings)) - gain @ loadings.T)
        return gain @ (values - self.mean[ids]), vectors * np.sqrt(values_left.clip(0))

    def _posterior(self, known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Conditional mean [K] of a patient and conditional covariance [K, K], 0 for known labels."""
        if known.all():
            return values, np.zeros((len(values), len(values)))
        ids = np.flatnonzero(known)
        given = self.given(dict(zip(ids.tolist(), values[ids].tolist(), strict=True)))
        return given.mean, given.factors.T @ given.factors + np.diag(given.spread**2)


def _factors(covariance: np.ndarray, patients: float, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Factors [R, K] and spreads [K] of a covariance [K, K]; a label's own variance stays what it is."""
    sd = np.sqrt(np.diag(covariance))
    unit = np.divide(1, sd, out=np.zeros_like(sd), where=sd > 0)
    varies = sd > 0
    correlation = covariance * np.outer(unit, unit)
    loadings = np.zeros((len(sd), components))
    for _ in range(_ROUNDS):
        own = np.where(varies, 1 - (loadings**2).sum(1), 0).clip(0)
        values, vectors = np.linalg.eigh(correlation - np.diag(own))
        loadings[:, : len(sd)] = (vectors * np.sqrt(values.clip(0)))[:, ::-1][:, :components]
        loadings /= np.maximum(1, np.sqrt((loadings**2).sum(1)))[:, None]
    loadings *= np.sqrt(1 - shrinkage(correlation[np.ix_(varies, varies)], patients))
    own = (1 - (loadings**2).sum(1)).clip(_OWN_SHARE)
    return loadings.T * sd, np.sqrt(own) * sd


def shrinkage(covariance: np.ndarray, patients: float) -> float:
    """Oracle approximating shrinkage: the weight of the mean variance times the identity, from 0 to 1.

    Args:
        covariance: of the sample, with a known mean or one estimated from it, [K, K].
        patients: size of the sample.
    """
    size = len(covariance)
    if size < 2:
        return 0.0
    trace, squares = np.trace(covariance) ** 2, float((covariance**2).sum())
    above = (1 - 2 / size) * squares + trace
    below = (patients + 1 - 2 / size) * (squares - trace / size)
    return 1.0 if below <= above else float(above / below)
