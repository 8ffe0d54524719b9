"""Label sets: which organs a run knows, their integer ids and their order.

The 34 labels of the paper (section 3.1) are TotalSegmentator v2 class names; the first 13 are those of
BTCV and form the ablation of section 3.5. Label ``k`` of a label map is the ``k``-th name, counted from 1;
0 is background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pivm.errors import ConfigError, nearest

ORGANS_13 = (
    "spleen",
    "kidney_right",
    "kidney_left",
    "gallbladder",
    "esophagus",
    "liver",
    "stomach",
    "aorta",
    "inferior_vena_cava",
    "portal_vein_and_splenic_vein",
    "pancreas",
    "adrenal_gland_right",
    "adrenal_gland_left",
)
ORGANS_34 = (
    *ORGANS_13,
    "small_bowel",
    "duodenum",
    "colon",
    "urinary_bladder",
    "lung_lower_lobe_left",
    "lung_lower_lobe_right",
    "vertebrae_L5",
    "vertebrae_L4",
    "vertebrae_L3",
    "vertebrae_L2",
    "vertebrae_L1",
    "vertebrae_T12",
    "vertebrae_T11",
    "vertebrae_T10",
    "autochthon_left",
    "autochthon_right",
    "iliopsoas_left",
    "iliopsoas_right",
    "hip_left",
    "hip_right",
    "sacrum",
)


@dataclass(frozen=True)
class LabelSet:
    """An ordered list of organ names; organ ``names[k - 1]`` has id ``k``.

    When the label map is completed for the ``body`` prior, 0 means *air* (outside the patient) and
    ``body_id`` means *body* (inside the patient's outline, no organ label).
    """

    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def body_id(self) -> int:
        """The id of *body* in a label map completed for the ``body`` prior."""
        return len(self.names) + 1

    @classmethod
    def from_config(cls, value: int | list[str]) -> LabelSet:
        """The set of ``34`` or ``13`` labels of the paper, or an explicit list of organ names.

        Raises:
            ConfigError: an empty list, a repeated name, more than 254 names, or an unknown number.
        """
        if value == 34:
            return cls(ORGANS_34)
        if value == 13:
            return cls(ORGANS_13)
        if not isinstance(value, list) or not value:
            raise ConfigError("labels", f"found {value!r}, expected 34, 13 or a list of organ names")
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ConfigError("labels", f"{repeated[0]!r} is listed more than once")
        if len(value) > 254:
            raise ConfigError("labels", f"{len(value)} names, at most 254 fit a uint8 label map")
        return cls(tuple(value))

    def id_of(self, name: str) -> int:
        """The id of an organ.

        Raises:
            ConfigError: the name is not in this label set; the nearest name is proposed.
        """
        if name not in self.names:
            raise ConfigError("labels", f"unknown label {name!r}{nearest(name, self.names)}")
        return self.names.index(name) + 1

    def complete(self, labels: np.ndarray, body: np.ndarray) -> np.ndarray:
        """Complete a label map by *body* where the outline holds no organ.

        Args:
            labels: uint8 of any shape, 0 = background.
            body: bool of the same shape, the patient's outline.

        Returns:
            uint8 of the same shape: 0 = air, ``body_id`` = body, organs unchanged.
        """
        return np.where((labels == 0) & body, np.uint8(self.body_id), labels)
