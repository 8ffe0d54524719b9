"""What segments and contours have in common: the labels that they draw, by name, on the grid of their series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pivm.datasets.dicom.series import Series
from pivm.datasets.mappings import organ_in
from pivm.errors import DataError
from pivm.labels import LabelSet


@dataclass
class Drawn:
    """What a label object holds of the label set.

    Attributes:
        masks: organ -> bool [columns, rows, slices].
        affine: index of the masks to mm in LPS.
        unused: names of the object that are no organ of the label set.
        notes: what was repaired or left out, one sentence each.
    """

    masks: dict[str, np.ndarray] = field(default_factory=dict)
    affine: np.ndarray = field(default_factory=lambda: np.eye(4))
    unused: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, organ: str, mask: np.ndarray) -> None:
        """Add a mask; parts of one organ are joined."""
        self.masks[organ] = self.masks[organ] | mask if organ in self.masks else mask


@dataclass(frozen=True)
class Names:
    """What the names of a label object mean.

    Attributes:
        mapping: their name -> organ.
        label_set: the organs that are looked for.
    """

    mapping: Mapping[str, str]
    label_set: LabelSet

    def organ(self, name: str) -> str | None:
        """The organ of the label set that a name means, or ``None``."""
        return organ_in(name, self.label_set.names, self.mapping)


def require_frame(path: Path, frame: str, series: Series) -> None:
    """Raises DataError where labels were drawn in another frame of reference than that of the CT."""
    if frame != series.frame:
        raise DataError(f"{path}: drawn in another frame of reference ({frame}) than the CT ({series.frame})")
