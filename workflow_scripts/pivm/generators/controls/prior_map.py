"""The average intensity map alone as a generator (paper, Fig. 2)."""

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

KIND = Kind("prior_map", GeneratorSettings, "pivm.generators.controls.prior_map:PriorMap", learnt=False)


class PriorMap(SliceWise):
    """Every pixel has the mean of its label; the seeds make no difference.

    Args:
        settings: nothing beyond its name.
        prior: organ means of the training split.
        device: not used.
    """

    def __init__(self, settings: GeneratorSettings, prior: Prior, device: torch.device):
        self.settings, self.prior = settings, prior

    def fit(self, data: TrainingData, validation: TrainingData | None, seed: int, run: Run) -> None:
        """Nothing is learnt beyond the organ means."""
        from pivm.learning.monitor import write_log

        write_log([], run.losses)

    def generate(
        self, label_map: np.ndarray, seeds: Sequence[int], patient_seeds: Sequence[int] | None = None
    ) -> np.ndarray:
        """int16 HU [N, H, W]; see :class:`pivm.generators.protocol.Generator`."""
        return np.rint(self.prior.map(label_map)).astype(np.int16)

    def generate_volumes(
        self, label_maps: Sequence[np.ndarray], seeds: Sequence[int], spacings_mm: Sequence[Spacing] | None = None
    ) -> Iterator[np.ndarray]:
        """int16 HU [S, H, W] per volume; see :class:`pivm.generators.protocol.Generator`."""
        yield from (self.generate(label_map, []) for label_map in label_maps)

    def weights(self) -> dict[str, torch.Tensor]:
        """The organ means, for a look: they are read from ``prior.json``."""
        import torch

        return {"means": torch.tensor(self.prior.means)}

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Raises StateError where the means are of another label map."""
        from pivm.learning.model_files import require_tensors

        require_tensors({"means": (self.prior.classes,)}, weights, folder)
