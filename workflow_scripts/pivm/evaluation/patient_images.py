"""What an image metric is given: the real and the synthetic slices of one patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

#: int16 HU [N, H, W] and a window -> features float64 [N, F], such as :class:`pivm.evaluation.features.Extractor`
FeatureExtractor = Callable[[np.ndarray, tuple[float, float]], np.ndarray]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class SliceSet:
    """Slices with their features, which are computed when first asked for.

    Attributes:
        hu: int16 [N, H, W].
        window: HU range that the extractor sees.
        extractor: None where no metric of the table reads features.
    """

    hu: np.ndarray
    window: tuple[float, float]
    extractor: FeatureExtractor | None

    @cached_property
    def features(self) -> np.ndarray:
        """Features float64 [N, F].

        Raises:
            ValueError: there is no extractor.
        """
        if self.extractor is None:
            raise ValueError("a metric reads features without features=True in its entry")
        return self.extractor(self.hu, self.window)


@dataclass(frozen=True, eq=False)
class PatientImages:
    """The slices of one patient that a metric of Table 1 compares.

    Attributes:
        patient: its name.
        real: real slices.
        synthetic: slices of a generator for the same label maps; for the floor, real slices of other patients.
        body: bool [N, H, W], outline of the patient.
        window: HU range that metrics see.
    """

    patient: str
    real: SliceSet
    synthetic: SliceSet
    body: np.ndarray
    window: tuple[float, float]
    _results: dict[Callable, Any] = field(default_factory=dict, repr=False)

    def once(self, compute: Callable[[PatientImages], T]) -> T:
        """What a function gives for this patient, computed a single time for all metrics that ask for it.

        Args:
            compute: a module's function.
        """
        if compute not in self._results:
            self._results[compute] = compute(self)
        return self._results[compute]
