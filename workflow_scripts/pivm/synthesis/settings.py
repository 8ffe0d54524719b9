"""Config section ``synthesis``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pivm.settings import setting


@dataclass(frozen=True)
class SourceShares:
    """Shares of the synthetic slices by where their label maps come from; their sum counts as 1."""

    train: float = setting("the label maps of the training patients", 1.0, minimum=0)
    augmented: float = setting("new anatomies: deformed label maps of the training patients", 0.0, minimum=0)
    labels_only: float | Literal["auto"] = setting(
        "subjects without CT, and training patients beyond split.annotated; auto: each of their label maps once before "
        "the other sources share the rest",
        "auto",
        minimum=0,
    )


@dataclass(frozen=True)
class AnatomySettings:
    """Config section ``synthesis.augmented``: virtual patients, deformed from training patients."""

    strength: float = setting(
        "1: organs of virtual patients differ in volume and place from those of their patient as training patients do "
        "from their mean; 0: not at all",
        1.0,
        minimum=0,
        maximum=10,
    )
    organ_scale: tuple[float, float] = setting(
        "smallest and largest factor on the side of an organ", (0.85, 1.15), above=0, maximum=3
    )
    girth: float = setting(
        "largest factor on the width and depth of the body, and its inverse", 1.1, minimum=1, maximum=2
    )
    shift_mm: float = setting("largest shift of an organ for itself, along each axis", 10.0, minimum=0)
    warp_mm: float = setting("standard deviation of the smooth warp of everything, at strength 1", 4.0, minimum=0)
    warp_length_mm: float = setting("over which the warp changes (sigma of a Gaussian)", 30.0, minimum=1)
    reach_mm: float = setting("over which the motion of an organ fades out (sigma of a Gaussian)", 10.0, minimum=1)


@dataclass(frozen=True)
class GateSettings:
    """Config section ``synthesis.keep``: which synthetic slices are used."""

    organ_found: float = setting(
        "an organ counts as drawn where the segmenter finds this share of its pixels", 0.7, minimum=0, maximum=1
    )
    organs_missing: float = setting(
        "a slice is dropped where more than this share of its organs is not drawn", 0.25, minimum=0, maximum=1
    )
    hu_percentile: float = setting(
        "an organ's median HU is outside beyond this percentile of the real training slices, at either end",
        0.5,
        minimum=0,
        below=50,
    )
    hu_outside: float = setting(
        "a slice is dropped where the median HU of more than this share of its organs is outside",
        0.25,
        minimum=0,
        maximum=1,
    )
    min_pixels: int = setting("smaller organs of a slice are not judged", 10, minimum=1)
    copy_percentile: float | None = setting(
        "a slice is dropped where it is nearer to a training slice than this percentile of fresh ones (privacy); null: "
        "copies are not looked for",
        None,
        above=0,
        below=50,
    )
    at_random: bool = setting("the control: as many slices are dropped, but at random", False)


@dataclass(frozen=True)
class SynthesisSettings:
    """Synthetic data from the labels of training patients (paper, section 3.4)."""

    slices: int | Literal["auto", "as_real"] = setting(
        "per generator; as_real: as many as the training patients have; auto: or as many as there are label maps "
        "without CT, where sources.labels_only is auto and these are more",
        "auto",
        minimum=1,
    )
    sources: SourceShares = SourceShares()
    augmented: AnatomySettings = AnatomySettings()
    keep: GateSettings | None = setting("the gate: which of them are used; null for all", None)
    batch: int = setting("slices at once", 32, minimum=1)
    volumes: int = setting("whole CT volumes of the `tables.generated` generator", 2, minimum=0)
    volumes_from: Literal["train", "labels_only"] = setting(
        "whose labels: training patients, or subjects with labels and no CT", "train"
    )
