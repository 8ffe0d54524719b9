"""The average intensity map (paper, sections 2 and 3.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pivm.errors import StateError
from pivm.labels import LabelSet

KINDS = ("body", "paper")


@dataclass(frozen=True)
class Prior:
    """Organ means of a training split and the scales that go with them.

    Attributes:
        kind: ``paper`` (mu_k inside organ k, 0 HU elsewhere) or ``body`` (the label map is completed by *body* and
            *air*, each with its own mean over unclipped HU).
        names: organs that have an id of their own in the label map the generators see, in order.
        organs: organs of the label maps that are handed over; those not in ``names`` count as unlabelled.
        means: HU per id of the label map the generators see: ``paper`` 0..K, ``body`` 0..K+1 (0 = air).
        voxels: training pixels per id.
        variation_sd: root mean square of the variation over the training pixels, HU; the one global scale.
        organ_sd: the same per id, HU; at least :data:`SMALLEST_SD`, at most ``variation_sd``: an organ that holds gas
            would else let errors of a fraction of its huge spread show up as specks in its wall.
        absolute_mean: mean of the HU themselves, for generators of absolute HU.
        absolute_sd: standard deviation of the HU themselves.
        hu_range: smallest and largest HU of the training pixels.
        outline_margins_mm: anterior, posterior and at the sides, from the organs to the patient's outline, for subjects
            without CT: the mean over training slices.
        outline_by_box: how they depend on the size of the organs and on the patient
            (:meth:`pivm.scans.outline.OutlineMargins.by_box`); empty: not at all.
    """

    kind: str
    names: tuple[str, ...]
    organs: tuple[str, ...]
    means: tuple[float, ...]
    voxels: tuple[int, ...]
    variation_sd: float
    organ_sd: tuple[float, ...]
    absolute_mean: float
    absolute_sd: float
    hu_range: tuple[int, int]
    outline_margins_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    outline_by_box: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """Number of ids of the label map that the generators see."""
        return len(self.means)

    @property
    def never_seen(self) -> tuple[str, ...]:
        """Organs without a single training pixel."""
        return tuple(n for n, v in zip(self.names, self.voxels[1:], strict=False) if v == 0)

    def label_map(self, labels: np.ndarray, body: np.ndarray) -> np.ndarray:
        """The label map that every generator is given.

        An organ that is not in ``names``, or that never occurs in the training split and so has no mean and no
        learnt appearance, is handed over as if it had no label.

        Args:
            labels: uint8, 0 = background, k = k-th of ``organs``.
            body: bool of the same shape.

        Returns:
            uint8 of the same shape, ids ``0..classes - 1``.
        """
        unseen = set(self.never_seen)
        known = own_ids(LabelSet(self.organs), LabelSet(self.names), unseen)[labels]
        return LabelSet(self.names).complete(known, body) if self.kind == "body" else known

    def map(self, label_map: np.ndarray) -> np.ndarray:
        """The average intensity map I: the mean of each pixel's label (paper, section 3.1), float32 HU."""
        return np.asarray(self.means, np.float32)[label_map]

    def variation(self, hu: np.ndarray, label_map: np.ndarray) -> np.ndarray:
        """v = x - I on unclipped HU (paper, section 2), float32."""
        return hu.astype(np.float32) - self.map(label_map)

    def restore(self, variation: np.ndarray, label_map: np.ndarray) -> np.ndarray:
        """x = I + v, rounded to int16 HU; the exact inverse of :meth:`variation`."""
        hu = np.rint(variation + self.map(label_map))
        return np.clip(hu, -32768, 32767).astype(np.int16)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Prior:
        """Raises StateError where the file is missing, truncated, of another version, or holds NaN."""
        try:
            facts = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_no_number)
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
            return cls(**fields)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StateError(f"{path}: not the organ means of a generator ({error}); fit them again") from None


def _no_number(text: str) -> float:
    raise ValueError(f"found {text}, expected a finite number")


def own_ids(organs: LabelSet, names: LabelSet, without: Set[str] = frozenset()) -> np.ndarray:
    """Table from the ids of one label set to those of another.

    Args:
        organs: the label set of the ids that come in.
        names: the label set of the ids that come out.
        without: organs that become 0 all the same.

    Returns:
        uint8 [256]; 0 for organs that are not in ``names``.

    >>> table = own_ids(LabelSet(("liver", "spleen", "colon")), LabelSet(("spleen", "liver")))
    >>> table[np.array([0, 1, 2, 3])].tolist()
    [0, 2, 1, 0]
    """
    table = np.zeros(256, np.uint8)
    for k, name in enumerate(organs.names, start=1):
        if name in names.names and name not in without:
            table[k] = names.id_of(name)
    return table
