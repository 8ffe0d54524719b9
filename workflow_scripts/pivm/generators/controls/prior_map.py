"""The average intensity map as a generator: what a learnt one must beat to be worth its electricity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from pivm.cohort.prior import Prior
from pivm.generators.slicewise import SliceWise
from pivm.learning.loop import Run
from pivm.learning.model_files import require_tensors
from pivm.learning.monitor import write_log


class PriorMap(SliceWise):
    """The average intensity map alone: every pixel has the mean of its label (paper, Fig. 2)."""

    def __init__(self, settings: dict, prior: Prior, device: torch.device):
        self.settings, self.prior = settings, prior

    def fit(self, data, validation, seed: int, run: Run) -> None:
        """Nothing is learnt beyond the organ means."""
        write_log([], run.losses)

    def generate(self, label_map: np.ndarray, seeds: list[int]) -> np.ndarray:
        """int16 HU [N, H, W]; the seeds make no difference."""
        return np.rint(self.prior.map(label_map)).astype(np.int16)

    def generate_volumes(self, label_maps: list[np.ndarray], seeds: list[int], spacings=None) -> Iterator[np.ndarray]:
        """int16 HU [S, H, W] per volume."""
        yield from (self.generate(label_map, []) for label_map in label_maps)

    def weights(self) -> dict[str, torch.Tensor]:
        """The organ means, for a look: they are read from ``prior.json``."""
        return {"means": torch.tensor(self.prior.means)}

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Raises StateError where the means are of another label map."""
        require_tensors({"means": (self.prior.classes,)}, weights, folder)
