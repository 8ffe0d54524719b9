"""Models on disk: ``model.safetensors`` and ``model.json``; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pivm.errors import StateError, disk_error, first_line

_OTHER_MODEL_HINT = "the model is of other settings or another version: delete it and run the workflow"
#: what reading weights raises where a file is damaged, foreign or no file of tensors alone
UNREADABLE = (
    pickle.UnpicklingError,
    SafetensorError,
    EOFError,
    RuntimeError,
    OSError,
    ValueError,
    LookupError,
    AssertionError,
    struct.error,
)


def save_model(folder: Path, weights: dict[str, torch.Tensor], facts: dict) -> None:
    """Write weights and the facts that are needed to use them again."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, path)
    except SafetensorError as error:
        full = disk_error(error)
        raise (OSError(full.errno, full.strerror, str(path)) if full else error) from None
    (folder / "model.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load_facts(folder: Path) -> dict:
    """The facts alone of what :func:`save_model` wrote; no weights are read.

    Raises:
        StateError: there is no such folder, or ``model.json`` is missing, truncated or of something else.
    """
    if not Path(folder).is_dir():
        raise StateError(f"{folder}: no such folder, expected the folder of a model, with model.json in it")
    try:
        facts = json.loads((Path(folder) / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _incomplete(folder, f"model.json: {error}") from None
    if not isinstance(facts, dict):
        raise _incomplete(folder, f"model.json: found {type(facts).__name__}, expected facts by name")
    return facts


def load_model(folder: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Read what :func:`save_model` wrote.

    Raises:
        StateError: a file is missing, truncated or no safetensors file.
    """
    facts = load_facts(folder)
    return load_weights(folder), facts


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights alone of what :func:`save_model` wrote.

    Raises:
        StateError: ``model.safetensors`` is missing, truncated or no safetensors file.
    """
    try:
        return load_file(Path(folder) / "model.safetensors")
    except OSError as error:
        raise _incomplete(folder, str(error)) from None
    except (ValueError, SafetensorError) as error:
        raise _incomplete(folder, f"model.safetensors: truncated or no safetensors file: {error}") from None


def _incomplete(folder: Path, reason: str) -> StateError:
    return StateError(f"{folder}: not a complete model ({reason}); copy it again, or delete it and run the workflow")


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Weights that others have made: a safetensors file, or a PyTorch file of nothing but tensors.

    Raises:
        StateError: the file is missing, truncated, not of tensors alone, or holds code.
    """
    weights = read_contents(path)
    if not all(isinstance(value, torch.Tensor) for value in weights.values()):
        other = next(name for name, value in weights.items() if not isinstance(value, torch.Tensor))
        raise StateError(f"{path}: found other things ({other!r}), expected a state dict: names and tensors alone")
    return weights


def read_contents(path: Path) -> dict:
    """What a checkpoint of others holds, weights among it; no code in it is run.

    Raises:
        StateError: the file is missing, truncated, no dictionary, or holds code.
    """
    path = Path(path)
    if not path.is_file():
        raise StateError(f"{path}: no such file; give the path of a file with weights")
    try:
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise StateError(
            f"{path}: refused, it is no file of tensors alone and reading it could run code ({first_line(error)}); "
            "save the state dict as safetensors and give that file"
        ) from None
    except UNREADABLE as error:
        raise StateError(
            f"{path}: cannot be read, it is truncated or of another format ({first_line(error)})"
        ) from None
    if not isinstance(weights, dict):
        raise StateError(f"{path}: found {type(weights).__name__}, expected a state dict: names and tensors alone")
    return weights


def put_weights(
    model: torch.nn.Module,
    weights: dict[str, torch.Tensor],
    folder: Path,
    hint: str = _OTHER_MODEL_HINT,
) -> None:
    """Load weights into a model.

    Args:
        hint: what to do about a mismatch.

    Raises:
        StateError: keys or shapes differ; the first mismatch is named.
    """
    require_tensors({k: tuple(v.shape) for k, v in model.state_dict().items()}, weights, folder, hint)
    model.load_state_dict(weights)


def require_tensors(
    wanted: dict[str, tuple[int, ...]], weights: dict[str, torch.Tensor], folder: Path, hint: str = _OTHER_MODEL_HINT
) -> None:
    """Compare weights with the names and shapes that are wanted.

    Args:
        hint: what to do about a mismatch.

    Raises:
        StateError: keys or shapes differ, or a weight is no number; the first mismatch is named.
    """
    for name in sorted(wanted.keys() | weights.keys()):
        if name not in weights:
            raise StateError(f"{folder}: weight {name!r} is missing, the network wants {wanted[name]}; {hint}")
        if name not in wanted:
            raise StateError(f"{folder}: weight {name!r} is none of the network; {hint}")
        given = tuple(weights[name].shape)
        if given != wanted[name]:
            raise StateError(f"{folder}: weight {name!r} has shape {given}, the network wants {wanted[name]}; {hint}")
        if not weights[name].isfinite().all():
            raise StateError(f"{folder}: weight {name!r} holds NaN or infinite numbers: train it again")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_hashes(paths: Iterable[Path | str]) -> dict[str, str]:
    """SHA-256 by file name."""
    return {Path(path).name: file_hash(Path(path)) for path in paths}


def model_hash(folder: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the weights."""
    return file_hash(Path(folder) / "model.safetensors")[:16]
