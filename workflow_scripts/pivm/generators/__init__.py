"""What differs between the generators. Each kind offers ``fit``, ``generate``, ``save`` and ``load``."""

from __future__ import annotations

from pathlib import Path

import torch

from pivm.errors import ConfigError, nearest
from pivm.model_files import load_model
from pivm.prior import Prior

KINDS = ("diffusion",)


def _kind(name: str):
    if name == "diffusion":
        from pivm.generators.diffusion import DiffusionGenerator

        return DiffusionGenerator
    raise ConfigError("generators", f"unknown kind {name!r}{nearest(name, KINDS)}, expected one of {', '.join(KINDS)}")


def make_generator(settings: dict, prior: Prior, device: torch.device):
    """An untrained generator from its resolved settings."""
    return _kind(settings["kind"])(settings, prior, device)


def load_generator(folder: Path, prior: Prior, device: torch.device):
    """A trained generator; its own files say of which kind it is."""
    _, facts = load_model(folder)
    return _kind(facts["settings"]["kind"]).load(folder, prior, device)
