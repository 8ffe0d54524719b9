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


def put_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Load weights into a model.

    Raises:
        StateError: keys or shapes differ; the first mismatch is named.
    """
    require_tensors({k: tuple(v.shape) for k, v in model.state_dict().items()}, weights, folder)
    model.load_state_dict(weights)


def require_tensors(wanted: dict[str, tuple[int, ...]], weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Compare weights with the names and shapes that are wanted.

    Raises:
        StateError: keys or shapes differ; the first mismatch is named.
    """
    given = {k: tuple(v.shape) for k, v in weights.items()}
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            raise StateError(
                f"{folder}: weight {name!r} has shape {given.get(name)}, the network wants {wanted.get(name)}; "
                "the model is of other settings or another version: run the workflow again"
            )


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def model_hash(folder: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the weights."""
    return file_hash(Path(folder) / "model.safetensors")[:16]
