"""The arms of the evidence: what is added to the slices of a few annotated patients to train a segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pivm.segmentation.other_scanner import ShiftSettings
from pivm.settings import setting

#: stands for `tables.generated` in :data:`ARMS`
GENERATED = "generated"
#: the arm that all others are held against
REFERENCE = "real"
#: ``rare_organs.threshold`` of the arms with rare organs: organs below 1 % of the labelled pixels
RARE = 0.01


class Arm(NamedTuple):
    """One arm.

    Attributes:
        title: its name in tables and figures, ``{adjective}`` for that of the scans (real, or phantom).
        recipe: of the synthetic slices (:func:`pivm.config.evidence.recipes`), or the source whose own slices are
            added where there is no generator; None where nothing is added.
        generator: of the synthetic slices.
        overrides: keys of ``segmentation`` that are not those of the others.
    """

    title: str
    recipe: str | None = None
    generator: str | None = None
    overrides: Mapping[str, Any] = {}


#: key in ``evidence.arms`` -> the arm. Every one has the real slices of the annotated patients.
ARMS = {
    REFERENCE: Arm("{adjective} slices alone"),
    "real_light": Arm("{adjective} slices alone, light augmentation", overrides={"augmentation": {"kind": "light"}}),
    "same_labels": Arm("+ synthetic, same label maps", "from_train", GENERATED),
    "augmented": Arm("+ synthetic, deformed label maps", "from_augmented", GENERATED),
    "labels_only": Arm("+ synthetic, label maps without CT", "from_labels_only", GENERATED),
    "deformed": Arm("+ the same deformation of the {adjective} slices", "augmented"),
    "cddpm": Arm("+ CDDPM, label maps without CT", "from_labels_only", "cddpm"),
    "gaussian": Arm("+ Gaussian organs, label maps without CT", "from_labels_only", "gaussian"),
    "pretrained": Arm(
        "+ synthetic, label maps without CT, before the {adjective} slices",
        *("from_labels_only", GENERATED, {"synthetic_share": None, "synthetic_first": 0.5}),
    ),
    "half": Arm(
        "+ synthetic, label maps without CT, half of each batch",
        *("from_labels_only", GENERATED, {"synthetic_share": 0.5, "synthetic_first": 0.0}),
    ),
    "rare": Arm(
        "+ synthetic, label maps without CT, rare organs more often",
        *("from_labels_only", GENERATED, {"rare_organs": {"threshold": RARE, "of": "synthetic"}}),
    ),
    "rare_real": Arm(
        "{adjective} slices alone, rare organs more often",
        overrides={"rare_organs": {"threshold": RARE, "of": "real"}},
    ),
}

ArmName = Literal[
    "real",
    "real_light",
    "same_labels",
    "augmented",
    "labels_only",
    "deformed",
    "cddpm",
    "gaussian",
    "pretrained",
    "half",
    "rare",
    "rare_real",
]


@dataclass(frozen=True)
class EvidenceSettings:
    """Config section ``evidence``: when synthetic slices help, by the number of annotated patients."""

    patients: tuple[int | Literal["all"], ...] = setting(
        "annotated patients, nested draws; the generator is trained on the same ones",
        (2, 4, 8, 16, "all"),
        minimum=1,
        min_items=1,
        unique=True,
    )
    arms: tuple[ArmName, ...] = setting(
        "what segmenters learn from", tuple(ARMS), min_items=2, unique=True, contains={"const": REFERENCE}
    )
    augmentation: Literal["light", "strong"] = setting("of all arms, as segmentation.augmentation.kind", "strong")
    seeds: tuple[int, ...] = setting(
        "of the segmenters, one training each", (1, 2, 3), minimum=0, min_items=1, unique=True
    )
    steps: tuple[float, ...] = setting(
        "of the segmenters, as multiples of segmentation.steps", (1.0, 2.0), above=0, min_items=1, unique=True
    )
    slices: int = setting("synthetic slices that an arm adds", 360, minimum=1)
    shifted: ShiftSettings | None = setting(
        "the test slices also as another scanner would show them; null: as they are alone", ShiftSettings()
    )
