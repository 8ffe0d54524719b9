"""Make and load generators by kind."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from pivm.errors import StateError
from pivm.generators import KINDS
from pivm.model_files import load_model
from pivm.prior import Prior


def _class(kind: str):
    module, name = KINDS[kind]
    return getattr(importlib.import_module(module), name)


def make_generator(settings: dict, prior: Prior, device: torch.device):
    """An untrained generator from its resolved settings."""
    return _class(settings["kind"])(settings, prior, device)


def load_generator(folder: Path, prior: Prior, device: torch.device):
    """A trained generator; its own files say of which kind it is.

    Raises:
        StateError: the folder holds no generator of a known kind.
    """
    _, facts = load_model(folder)
    kind = facts.get("settings", {}).get("kind")
    if kind not in KINDS:
        raise StateError(f"{folder}/model.json: no generator: kind is {kind!r}, expected one of {', '.join(KINDS)}")
    return _class(kind).load(folder, prior, device)
