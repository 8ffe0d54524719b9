"""The evidence: arms and draws that section ``evidence`` of the config asks for."""

from __future__ import annotations

from typing import Any

from pivm.config import generator_seeds
from pivm.config.training_sets import TrainingSet
from pivm.errors import ConfigError, nearest
from pivm.evaluation.evidence import SAME, SHIFTED
from pivm.segmentation.arms import ARMS, GENERATED

#: source of label maps -> recipe that takes all slices from it
SOURCES = {source: f"from_{source}" for source in ("train", "augmented", "labels_only")}


def recipes(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Folder of synthetic slices below that of a generator -> how many, and the shares of their sources."""
    synthesis, evidence = config["synthesis"], config["evidence"]
    own = {"slices": {"slices": synthesis["slices"], "sources": synthesis["sources"]}}
    return own | {
        recipe: {"slices": evidence["slices"], "sources": {source: 1.0}} for source, recipe in SOURCES.items()
    }


def draws(config: dict[str, Any]) -> list[str]:
    """Prefixes of the paths of all draws of annotated patients; empty for that of the whole run."""
    whole = config["split"]["annotated"]
    return [
        "" if patients == whole else f"evidence/annotated_{patients}/" for patients in config["evidence"]["patients"]
    ]


def tests(config: dict[str, Any]) -> dict[str, str]:
    """How the test slices are shown -> suffix of the file of their scores."""
    return {SAME: ""} | ({SHIFTED: f"_{SHIFTED}"} if config["evidence"]["shifted"] else {})


def points(config: dict[str, Any], has_label_maps: bool) -> list[tuple[int, float, str, TrainingSet]]:
    """(Place of the draw, multiple of the steps, arm, training set) of all segmenters.

    Args:
        config: as merged.
        has_label_maps: the data set has subjects with labels and no CT.
    """
    found = arms(config)
    return [
        (place, steps, arm, one)
        for place, patients in enumerate(config["evidence"]["patients"])
        for (steps, arm), training_sets in found.items()
        if arm in arms_of(config, patients, has_label_maps)
        for one in training_sets
    ]


def arms(config: dict[str, Any]) -> dict[tuple[float, str], list[TrainingSet]]:
    """(Multiple of the steps, arm) -> its training sets, one for each training of its generator; the same in all draws.

    An arm of a generator that the config does not have is left out here; :func:`require_arms` refuses it.
    """
    evidence, segmentation, found = config["evidence"], config["segmentation"], {}
    for multiple in evidence["steps"]:
        steps = max(1, round(multiple * segmentation["steps"]))
        for name in evidence["arms"]:
            arm, folder = ARMS[name], f"{name}/steps_{multiple:g}"
            generator = config["tables"]["generated"] if arm.generator == GENERATED else arm.generator
            if generator is not None and generator not in config["generators"]:
                continue
            augmentation = {**segmentation["augmentation"], "kind": evidence["augmentation"]}
            augmentation |= arm.overrides.get("augmentation", {})
            # all slices alike where an arm does not say otherwise: the tables' own way of use is the arm `half`
            usage = {"synthetic_share": None, "synthetic_first": 0.0}
            overrides = {**usage, **arm.overrides, "steps": steps, "augmentation": augmentation}
            seeds = [None] if generator is None else generator_seeds(config, generator)
            found[multiple, name] = [
                TrainingSet(
                    folder if seed is None else f"{folder}/generator_seed_{seed}",
                    *(True, generator, seed, list(evidence["seeds"]), arm.recipe, overrides),
                )
                for seed in seeds
            ]
    return found


def arms_of(config: dict[str, Any], patients: int | str, has_label_maps: bool) -> list[str]:
    """The arms of a draw: where all training patients keep their CT, the label maps of others are those without CT.

    Args:
        config: as merged.
        patients: of the draw.
        has_label_maps: the data set has subjects with labels and no CT.
    """
    wanted = config["evidence"]["arms"]
    if patients == "all" and not has_label_maps:
        return [name for name in wanted if ARMS[name].recipe != SOURCES["labels_only"]]
    return list(wanted)


def require_arms(config: dict[str, Any]) -> None:
    """Raises ConfigError where an arm is of a generator that the config does not have."""
    for name in config["evidence"]["arms"]:
        generator = ARMS[name].generator
        if generator not in (None, GENERATED, *config["generators"]):
            known = ", ".join(config["generators"])
            raise ConfigError(
                "evidence.arms",
                f"{name!r} is of the generator {generator!r}, which `generators` does not have"
                f"{nearest(generator, config['generators'])} (found {known}); leave the arm out",
            )
