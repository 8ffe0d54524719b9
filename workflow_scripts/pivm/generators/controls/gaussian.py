"""Organs drawn from their moments: a generator without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pivm.cohort.prior import Prior
from pivm.generators.kinds import GeneratorSettings, Kind
from pivm.generators.slicewise import SliceWise

if TYPE_CHECKING:
    import torch

    from pivm.generators.protocol import Spacing
    from pivm.generators.training_data import TrainingData
    from pivm.learning.loop import Run

KIND = Kind("gaussian", GeneratorSettings, "pivm.generators.controls.gaussian:GaussianOrgans", learnt=False)
#: widest blur of an organ's texture, pixels; a larger estimate means a gradient and not a texture
LARGEST_BLUR = 4.0


class GaussianOrgans(SliceWise):
    """Every label drawn from its own mean, spread and smoothness, in the spirit of SynthSeg (Billot et al. 2023).

    A slice (or volume) draws one mean per label, ``N(mu_k, between_k)``, and a texture of standard deviation
    ``within_k``: white noise under a Gaussian blur of ``blur_k`` pixels. All four are moments of the training slices.

    Args:
        settings: nothing beyond its name.
        prior: organ means of the training split.
        device: not used.

    Attributes:
        moments: ``mean``, ``between``, ``within`` (HU) and ``blur`` (pixels), float64 [classes].
    """

    NAMES = ("mean", "between", "within", "blur")

    def __init__(self, settings: GeneratorSettings, prior: Prior, device: torch.device):
        self.settings, self.prior = settings, prior
        self.moments: dict[str, np.ndarray] = {}

    def fit(self, data: TrainingData, validation: TrainingData | None, seed: int, run: Run) -> None:
        """Moments of every label over the training slices."""
        from pivm.learning.monitor import write_log

        self.moments = label_moments(*data.arrays(), self.prior.classes)
        write_log([], run.losses)

    def generate(
        self, label_map: np.ndarray, seeds: Sequence[int], patient_seeds: Sequence[int] | None = None
    ) -> np.ndarray:
        """int16 HU [N, H, W]; every slice draws its own means."""
        return np.concatenate(
            [self._draw(ids[None], np.random.default_rng(s)) for ids, s in zip(label_map, seeds, strict=True)]
        )

    def generate_volumes(
        self, label_maps: Sequence[np.ndarray], seeds: Sequence[int], spacings_mm: Sequence[Spacing] | None = None
    ) -> Iterator[np.ndarray]:
        """int16 HU [S, H, W] per volume; one mean per label and volume, textures of slices independent."""
        for label_map, seed in zip(label_maps, seeds, strict=True):
            yield self._draw(label_map, np.random.default_rng(seed))

    def _draw(self, label_map: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        means = self.moments["mean"] + self.moments["between"] * rng.standard_normal(self.prior.classes)
        white = rng.standard_normal(label_map.shape)
        hu = means[label_map]
        for k in np.unique(label_map):
            inside = label_map == k
            hu[inside] += self.moments["within"][k] * _smooth(white, float(self.moments["blur"][k]))[inside]
        return np.clip(np.rint(hu), *self.prior.hu_range).astype(np.int16)

    def weights(self) -> dict[str, torch.Tensor]:
        """The moments, float64 [classes]."""
        import torch

        return {name: torch.from_numpy(self.moments[name]) for name in self.NAMES}

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Raises StateError where the moments are missing or of another label map."""
        from pivm.learning.model_files import require_tensors

        require_tensors(dict.fromkeys(self.NAMES, (self.prior.classes,)), weights, folder)
        self.moments = {name: value.numpy() for name, value in weights.items()}


def _smooth(white: np.ndarray, blur: float) -> np.ndarray:
    """Blur every slice of white noise [S, H, W] in plane, back to unit variance."""
    from scipy import ndimage

    if blur == 0:
        return white
    impulse = np.zeros(2 * int(4 * blur + 0.5) + 1)
    impulse[len(impulse) // 2] = 1
    kernel = ndimage.gaussian_filter1d(impulse, blur)
    return ndimage.gaussian_filter(white, (0, blur, blur), mode="wrap") / (kernel**2).sum()


def label_moments(hu: np.ndarray, label_map: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Mean, spread between slices, spread inside a slice and blur of every label.

    A Gaussian blur of ``s`` pixels gives white noise the autocorrelation ``exp(-1 / (4 s^2))`` at a distance of
    one pixel, from which ``s`` follows.

    Args:
        hu: int16 [N, H, W].
        label_map: uint8 [N, H, W] with ids ``0..classes - 1``.
        classes: number of ids.

    Returns:
        ``mean``, ``between``, ``within`` (HU), ``blur`` (pixels), float64 [classes]; zeros for a label never seen.
    """
    moments = {name: np.zeros(classes) for name in GaussianOrgans.NAMES}
    for k in range(classes):
        weight, means, square, product, pairs = [], [], 0.0, 0.0, 0
        for image, ids in zip(hu, label_map, strict=True):
            inside = ids == k
            n = int(inside.sum())
            if n == 0:
                continue
            mean = float(image[inside].mean())
            residual = np.where(inside, image - mean, 0.0)
            weight.append(n)
            means.append(mean)
            square += float((residual**2).sum())
            product += float((residual[1:] * residual[:-1]).sum() + (residual[:, 1:] * residual[:, :-1]).sum())
            pairs += int((inside[1:] & inside[:-1]).sum() + (inside[:, 1:] & inside[:, :-1]).sum())
        if not weight:
            continue
        variance = square / sum(weight)
        moments["mean"][k] = np.average(means, weights=weight)
        moments["between"][k] = np.sqrt(np.average((means - moments["mean"][k]) ** 2, weights=weight))
        moments["within"][k] = np.sqrt(variance)
        correlation = product / pairs / variance if pairs and variance else 0.0
        if correlation > 0:
            moments["blur"][k] = min(np.sqrt(-0.25 / np.log(min(correlation, 0.99))), LARGEST_BLUR)
    return moments
