"""What the segmenters learn from: the training sets behind the columns of Tables 2 and 3 and behind the gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pivm.config import generator_seeds
from pivm.segmentation.gate import FOLDS
from pivm.segmentation.settings import SegmentationSettings
from pivm.settings import plain, read_settings


class TrainingSet(NamedTuple):
    """Slices that a segmenter learns from.

    Attributes:
        folder: its folder below ``segmentation/``.
        real: it holds the real training slices.
        generator: of its synthetic slices; None without any.
        generator_seed: of that generator; None likewise.
        segmenter_seeds: of the segmenters that learn from it.
        recipe: folder of the synthetic slices; None without any.
        overrides: keys of ``segmentation`` that differ from the config.
        fold: half of the training patients that its real slices are of; None for all.
    """

    folder: str
    real: bool
    generator: str | None
    generator_seed: int | None
    segmenter_seeds: list[int]
    recipe: str | None = None
    overrides: Mapping[str, Any] = {}
    fold: int | None = None


def training_sets(config: dict[str, Any], name: str) -> list[TrainingSet]:
    """The training sets behind a column of Tables 2 and 3, one for each training of its generator.

    Args:
        config: the whole config.
        name: ``original``, ``combined``, or a generator.
    """
    segmentation = config["segmentation"]
    seeds = segmentation["control_seeds" if name in config["tables"]["controls"] else "seeds"]
    if name == "original":
        return [TrainingSet(name, True, None, None, seeds)]
    generator = config["tables"]["generated"] if name == "combined" else name
    return [
        TrainingSet(f"{name}/generator_seed_{seed}", name == "combined", generator, seed, seeds, "slices")
        for seed in generator_seeds(config, generator)
    ]


def segmenter_settings(config: dict[str, Any], one: TrainingSet) -> dict[str, Any]:
    """What the weights of a segmenter depend on: section ``segmentation`` without the keys that its set does not use.

    Args:
        config: as merged.
        one: the training set.
    """
    # read and made plain again, for one order of the keys: an overlay puts those that it has first
    given = read_settings(SegmentationSettings, config["segmentation"] | one.overrides, "segmentation")
    settings, unused = plain(given), {"seeds", "control_seeds", "test_batch"}
    if not one.real:
        unused.add("real_slices")
    if not one.real or one.recipe is None:
        unused |= {"synthetic_share", "synthetic_first"}
    there = {"both": True, "real": one.real, "synthetic": one.recipe is not None}
    if not settings["rare_organs"]["threshold"] or not there[settings["rare_organs"]["of"]]:
        unused.add("rare_organs")
    return {key: value for key, value in settings.items() if key not in unused}


def judges(config: dict[str, Any]) -> list[TrainingSet]:
    """The training sets of the segmenters that the gate asks, one for each half of the training patients."""
    if config["synthesis"]["keep"] is None:
        return []
    seeds = config["segmentation"]["seeds"][:1]
    return [TrainingSet(f"gate/fold_{fold}", True, None, None, seeds, fold=fold) for fold in range(FOLDS)]
