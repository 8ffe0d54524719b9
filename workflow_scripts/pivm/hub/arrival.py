"""A model that comes from the hub: which files are taken, whether they are ours and whole, and what it can do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from pivm.cohort.prior import Prior
from pivm.errors import PivmError, StateError, first_line
from pivm.generators.kinds import MODEL_FILES
from pivm.generators.model_folder import ModelFolder
from pivm.hub.card import CARD
from pivm.hub.publication import HASHES, require_whole
from pivm.hub.remote import Snapshot
from pivm.learning.model_files import file_hash, load_facts
from pivm.scans.outline import OutlineMargins
from pivm.synthesis.region import trained_organs

#: endings of weights that are unpickled, or could be
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras", ".msgpack")

#: of labels and generators; a slash or a control character has no place there
_PLAIN = re.compile(r"\w[\w .+-]{0,99}")


def part_folder(folder: Path) -> Path:
    """Where a model lies until it is complete and checked: beside ``folder``, so that it is moved in one step.

    Raises:
        PivmError: ``folder`` holds something.
    """
    if (folder.exists() and not folder.is_dir()) or (folder.is_dir() and any(folder.iterdir())):
        raise PivmError(f"{folder}: exists, and nothing is written over; name another folder, or delete it")
    place = folder.resolve()
    return place.with_name(f".{place.name}.pivm-pull")


def wanted_files(snapshot: Snapshot) -> tuple[str, ...]:
    """The files of a model folder in a repository; others are never fetched.

    Raises:
        StateError: one is missing.
    """
    lacking = [name for name in MODEL_FILES if name not in snapshot.files]
    if not lacking:
        return tuple(name for name in (*MODEL_FILES, CARD) if name in snapshot.files)
    text = f"{snapshot.repository}: no model of pivm: it lacks {', '.join(lacking)}"
    if pickles := [name for name in snapshot.files if name.lower().endswith(_PICKLES)]:
        text += f"; {', '.join(map(repr, pickles[:3]))} are not read, as reading them could run code"
    raise StateError(text)


def check_arrival(folder: Path, snapshot: Snapshot) -> ModelFolder:
    """Open a model folder that was fetched.

    Args:
        folder: where it lies.
        snapshot: where it came from.

    Raises:
        StateError: it is no model of this version, is damaged, or was changed after it was published.
        PivmError: it does not fit into memory, or needs a package that is not installed.
    """
    try:
        _require_hashes(folder, snapshot)
        opened = ModelFolder.open(folder)
        _require_plain_names(opened)
        _require_numbers(opened.prior)
        require_whole(opened)
    except PivmError as error:
        said = str(error).replace(f"{folder}/", "").replace(str(folder), "the model")
        kind = StateError if isinstance(error, StateError) else PivmError
        raise kind(f"{snapshot.repository}: {said}") from None
    # files of strangers: lists in place of numbers, brackets a thousand deep, networks without an end
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise StateError(
            f"{snapshot.repository}: no model of pivm: {type(error).__name__}: {first_line(error)}"
        ) from None
    return opened


def _require_plain_names(opened: ModelFolder) -> None:
    """Names become file names of masks and are written to the terminal."""
    for name in (opened.settings.name, *opened.organs, *opened.prior.names):
        if not isinstance(name, str) or not _PLAIN.fullmatch(name):
            raise StateError(f"model.json: {name!r} is no name of a label or generator, expected letters and digits")


def _require_numbers(prior: Prior) -> None:
    classes = len(prior.names) + (2 if prior.kind == "body" else 1)
    for field in ("means", "voxels", "organ_sd"):
        values = getattr(prior, field)
        if len(values) != classes or not all(type(value) in (int, float) for value in values):
            raise StateError(f"prior.json: {field} are not {classes} numbers, one for each label")
    OutlineMargins.of(prior.outline_margins_mm, prior.outline_by_box)


def _require_hashes(folder: Path, snapshot: Snapshot) -> None:
    stated = load_facts(folder).get(HASHES, {})
    if not isinstance(stated, dict):
        raise StateError(f"model.json: {HASHES} is {type(stated).__name__}, expected SHA-256 by file name")
    for source in (stated, snapshot.sha256):
        for name in sorted(source.keys() & set(MODEL_FILES)):
            found = file_hash(folder / name)
            if found != source[name]:
                raise StateError(
                    f"{name}: SHA-256 is {found[:16]}..., stated is {str(source[name])[:16]}...: it was damaged, or "
                    "changed after the model was published"
                )


def settle(part: Path, folder: Path) -> None:
    """Move a checked model to its place."""
    shutil.rmtree(part / ".cache", ignore_errors=True)  # notes of huggingface_hub on what it fetched
    place = folder.resolve()
    if place.is_dir():
        place.rmdir()  # an empty one, which Windows does not replace
    part.rename(place)


def abilities(opened: ModelFolder) -> dict[str, Any]:
    """What a model can do, for people and scripts.

    Args:
        opened: its folder.

    Returns:
        ``generator``, ``kind``, ``labels`` (those that it was trained for), ``never_seen``, ``pixels`` per side of a
        slice, and ``step_mm`` (``median``, ``low``, ``high``: how far apart the slices lie that it learnt from), or
        ``None`` where it knows none.
    """
    known, below = trained_organs(opened.prior), opened.trained_on.below_mm
    return {
        "generator": opened.settings.name,
        "kind": opened.kind.name,
        "labels": list(known),
        "never_seen": [organ for organ in opened.organs if organ not in known],
        "pixels": opened.trained_on.image_size,
        "step_mm": None if below is None else {"median": below.median, "low": below.low, "high": below.high},
    }
