"""Make and load generators by kind."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from pivm.cohort.prior import Prior
from pivm.errors import StateError
from pivm.generators import KINDS
from pivm.generators.sampler_file import misfit, read_sampler
from pivm.learning.model_files import load_facts, load_weights, save_model

#: of the model folder; raised when what is in it changes
FORMAT = 4


def _class(kind: str):
    module, name = KINDS[kind]
    return getattr(importlib.import_module(module), name)


def make_generator(settings: dict, prior: Prior, device: torch.device):
    """An untrained generator from its resolved settings; to generate they need a ``sampler`` where the kind has one."""
    return _class(settings["kind"])(settings, prior, device)


def load_generator(folder: Path, device: torch.device):
    """A trained generator from its folder; its own files say of which kind it is, ``prior.json`` holds its means.

    Raises:
        StateError: the folder holds no generator of a known kind, one of another version of its format, or files that
            do not go together.
    """
    facts, prior = read_facts_and_prior(folder)
    try:
        generator = make_generator(facts["settings"], prior, device)
    except KeyError as key:
        raise _lacking(folder, key) from None
    generator.put(load_weights(folder), folder)
    return generator


def read_facts_and_prior(folder: Path) -> tuple[dict, Prior]:
    """What a model folder says of its generator, and its organ means.

    Raises:
        StateError: as :func:`load_generator`.
    """
    facts, prior = read_facts(folder), Prior.load(Path(folder) / "prior.json")
    if tuple(facts["organs"]) != prior.organs:
        raise StateError(f"{folder}: model.json and prior.json name other organs, so they are of two models: copy both")
    return facts, prior


def read_facts(folder: Path) -> dict:
    """What a model folder says of its generator: settings with the sampler, organs, image size, patients, ``made``.

    Raises:
        StateError: as :func:`load_generator`.
    """
    facts = load_facts(folder)
    settings, found = facts.get("settings"), facts.get("format")
    kind = settings.get("kind") if isinstance(settings, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise StateError(f"{folder}/model.json: no generator: kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if found != FORMAT:
        raise StateError(
            f"{folder}/model.json: format {found!r}, this version reads format {FORMAT}: train the generator again"
        )
    for key, expected in {"organs": list, "image_size": int}.items():
        if not isinstance(facts.get(key), expected):
            raise _lacking(folder, key)
    settings["sampler"] = read_sampler(folder, kind)
    try:
        wrong = misfit(settings) if kind == "diffusion" else None
    except KeyError as key:
        raise _lacking(folder, key) from None
    if wrong:
        raise StateError(f"{folder}/sampler.json: {wrong[0]}: {wrong[1]}")
    return facts


def _lacking(folder: Path, key: object) -> StateError:
    return StateError(f"{folder}/model.json: {key} is missing or of another type: train the generator again")


def save_generator(generator, prior: Prior, folder: Path, facts: dict) -> None:
    """Write a folder that travels: weights, settings, organ means, and what the generator was trained on.

    How it samples is written by :func:`pivm.generators.sampler_file.write_sampler`, without a training.

    Args:
        facts: ``patients``, ``seed``, ``image_size``, ``data`` (hashes of split and slices) and ``made``
            (:func:`pivm.job.made`).
    """
    known = {"format": FORMAT, "settings": generator.settings, "organs": prior.organs}
    save_model(folder, generator.weights(), {**known, **facts})
    prior.save(Path(folder) / "prior.json")


def require_fit(folder: Path, organs: tuple[str, ...], size: int) -> None:
    """Raises StateError where a generator was trained on another label set or image size."""
    facts = read_facts(folder)
    if facts["image_size"] != size:
        raise StateError(
            f"{folder}: trained on slices of {facts['image_size']} x {facts['image_size']} pixels, "
            f"asked for {size} x {size}; set image.size: {facts['image_size']}, or delete the folder to train it anew"
        )
    if tuple(facts["organs"]) != tuple(organs):
        ours, theirs = set(organs) - set(facts["organs"]), set(facts["organs"]) - set(organs)
        raise StateError(
            f"{folder}: trained on another label set: it lacks {', '.join(sorted(ours)) or 'none'} and has "
            f"{', '.join(sorted(theirs)) or 'none'} besides, or another order; set `labels` as in its model.json"
        )
