"""What a generator offers, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from pivm.cohort.prior import Prior

if TYPE_CHECKING:
    import torch

    from pivm.cohort.store import LabelStore
    from pivm.generators.training_data import TrainingData
    from pivm.learning.loop import Run

#: mm along x, y and z
Spacing = tuple[float, float, float]


class MemorySetting(NamedTuple):
    """The config key that the memory for generating grows with, and its value."""

    key: str
    value: int


class GeneratedSlices(NamedTuple):
    """Slices for some of the label maps that were asked for.

    Attributes:
        positions: which of them, counted from 0.
        hu: int16 HU [n, H, W].
        seeds: the seed behind each slice.
    """

    positions: list[int]
    hu: np.ndarray
    seeds: list[int]


class Keepable(Protocol):
    """What the folder of a generator is written from.

    Attributes:
        settings: resolved settings, an object of the kind's class; its ``sampler`` is needed to generate alone.
        prior: organ means of the training split.
    """

    settings: Any
    prior: Prior

    def weights(self) -> dict[str, torch.Tensor]:
        """Tensors by name."""
        ...


class Generator(Keepable, Protocol):
    """A trained or untrained generator, made as ``Class(settings, prior, device)``."""

    @property
    def sees_below(self) -> bool:
        """A slice of a volume is made from the one below as well, so that their distance counts."""
        ...

    def __init__(self, settings: Any, prior: Prior, device: torch.device) -> None: ...

    def generate(
        self, label_map: np.ndarray, seeds: Sequence[int], patient_seeds: Sequence[int] | None = None
    ) -> np.ndarray:
        """Single slices, each from its own seed and independent of the others.

        Args:
            label_map: uint8 [N, H, W], as :meth:`pivm.cohort.prior.Prior.label_map` gives it.
            seeds: one per slice.
            patient_seeds: of the synthetic patient that each slice is of, for kinds that draw something for a whole
                patient; without them every slice is of a patient of its own.

        Returns:
            int16 HU [N, H, W].
        """
        ...

    def generate_volumes(
        self, label_maps: Sequence[np.ndarray], seeds: Sequence[int], spacings_mm: Sequence[Spacing] | None = None
    ) -> Iterator[np.ndarray]:
        """Whole volumes.

        Args:
            label_maps: one uint8 [S, H, W] per volume.
            seeds: one per volume.
            spacings_mm: along W, H and z, one per volume.

        Yields:
            int16 HU [S, H, W] per volume, in order.
        """
        ...

    def generate_sources(
        self, store: LabelStore, sources: np.ndarray, seeds: Sequence[int], batch: int, patient_seeds: Sequence[int]
    ) -> Iterator[GeneratedSlices]:
        """Slices for the label maps of store rows, in whatever order suits the generator.

        Args:
            store: of the label maps.
            sources: its rows.
            seeds: one per row.
            batch: slices at once, where the kind leaves that to the caller.
            patient_seeds: one per row, as in :meth:`generate`.
        """
        ...

    def memory_setting(self, key: str, value: int) -> MemorySetting:
        """What needs less memory where ``key`` and ``value`` are the caller's own setting."""
        ...

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """The inverse of :meth:`weights`.

        Args:
            weights: tensors by name.
            folder: where they came from, for messages.

        Raises:
            StateError: they do not fit.
        """
        ...


class Trainable(Keepable, Protocol):
    """A kind that learns in one training (``rules/generators.smk``); others have rules of their own.

    It is made as a generator is, which it need not be (:attr:`pivm.generators.kinds.Kind.trainer`).
    """

    def __init__(self, settings: Any, prior: Prior, device: torch.device) -> None: ...

    def fit(self, data: TrainingData, validation: TrainingData | None, seed: int, run: Run) -> None:
        """Learn from the training slices.

        Args:
            data: slices of the training split.
            validation: slices of the validation split, ``None`` where no patient is kept for it.
            seed: of all draws.
            run: ``run.losses`` receives the losses, header only where nothing is trained.
        """
        ...


@runtime_checkable
class LowPrecision(Protocol):
    """A generator whose network can sample in bf16."""

    def sample_in_bf16(self) -> None:
        """Round the weights, for sampling alone."""
        ...


@runtime_checkable
class LossTeller(Protocol):
    """A generator whose loss says how well it knows an image: what an attack on the membership of patients asks."""

    def denoising_losses(self, hu: np.ndarray, label_map: np.ndarray, level: float, seed: int) -> np.ndarray:
        """The loss of single slices at one noise level, without the slice below.

        Args:
            hu: int16 HU [N, H, W].
            label_map: uint8 [N, H, W], as :meth:`pivm.cohort.prior.Prior.label_map` gives it.
            level: share of the noise steps, above 0 (hardly any noise) to 1 (the last step).
            seed: of the noise, the same for every slice.

        Returns:
            float32 [N].
        """
        ...
