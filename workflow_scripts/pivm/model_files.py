"""Models on disk: ``model.safetensors`` and ``model.json``; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pivm.errors import StateError


def save_model(folder: Path, weights: dict[str, torch.Tensor], facts: dict) -> None:
    """Write weights and the facts that are needed to use them again."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, folder / "model.safetensors")
    (folder / "model.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def load_model(folder: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Read what :func:`save_model` wrote.

    Raises:
        StateError: a file is missing, truncated or no safetensors file.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / "model.json").read_text())
        weights = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise StateError(f"{folder}: not a complete model ({error}); delete it and run the workflow again") from None
    return weights, facts


def model_hash(folder: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the weights."""
    return hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()[:16]
