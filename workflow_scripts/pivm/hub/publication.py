"""What of a model folder may leave: the files that `pivm generate` needs and the card, without patients and paths."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from pivm.errors import PivmError, StateError
from pivm.generators.model_folder import ModelFolder
from pivm.hub.card import CARD, hub_card
from pivm.learning.device import memory_advice
from pivm.learning.model_files import file_hash, load_facts

#: key of the published model.json: file name -> SHA-256, of those that no one changes by hand
HASHES = "sha256"
#: what a published model.json carries over as it is; names of patients and what is not known stay behind
_CARRIED = ("format", "settings", "organs", "seed", "image_size", "data", "below_mm", "unmapped")
#: in place of the folder of released weights
_RELEASED = "released"
#: a name of fewer letters is compared with whole texts alone: `p` or `12` stand in every card
_TELLING = 4
_URL = re.compile(r"https?://[^\s)>\]]+")
_PATH = re.compile(
    r"(?<![\w.)/<])~?/[\w.+@-]+(?:/[\w.+@-]+)+|(?<!\w)~/[\w.+@-]+"  # of Unix, with two parts
    r"|\b[A-Za-z]:\\[\w\\.-]+|\\\\\w+\\[\w\\.-]+|file:/\S*"
)


@dataclass(frozen=True)
class Publication:
    """What is uploaded of a model folder.

    Attributes:
        opened: the folder.
        files: name -> its text as it is uploaded, or the file itself.
        stays: files and folders beside them that are not uploaded.
        left_out: keys of ``model.json`` that are not uploaded, or as an empty value.
    """

    opened: ModelFolder
    files: dict[str, bytes | Path]
    stays: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in self.files.values())


def prepare_publication(folder: Path, repository: str, licence: str | None) -> Publication:
    """Check a model folder and make the copies of its texts that may leave; nothing is sent.

    Args:
        folder: of a trained generator, with its model card.
        repository: where it will lie, for the card.
        licence: identifier of the hub; ``None`` for what the card says already, or what its training data ask for.

    Raises:
        StateError: the folder is no complete generator, or its card lacks a section.
        PivmError: a patient, this machine or a path is named in what would be uploaded; says in which file.
    """
    opened = ModelFolder.open(folder)
    require_whole(opened)  # weights that are foreign or cut off are found here, not by those who pull them
    _require_no_metadata(folder / "model.safetensors")
    facts = load_facts(folder)
    if getattr(opened.settings, "weights", None) and licence is None:
        raise PivmError(
            f"{folder}: its weights were made by others (settings.weights in model.json), whose licence decides "
            "whether they may be passed on; name it with --license"
        )
    weights, prior = folder / "model.safetensors", _plain_copy(folder / "prior.json", sort=False)
    hashes = {weights.name: file_hash(weights), "prior.json": hashlib.sha256(prior).hexdigest()}
    public, left_out = public_facts(facts, hashes)
    files: dict[str, bytes | Path] = {
        weights.name: weights,
        "model.json": _json(public, sort=True),
        "prior.json": prior,
        "sampler.json": _plain_copy(folder / "sampler.json", sort=True),
        CARD: hub_card(folder, repository, opened.kind.name, licence).encode("utf-8"),
    }
    names = [*map(str, facts.get("patients", [])), platform.node()]
    require_nobody(folder, files, names)
    stays = sorted(place.name for place in folder.iterdir() if place.name not in files)
    return Publication(opened, files, tuple(stays), left_out)


def require_whole(opened: ModelFolder) -> None:
    """Load a model to see that its weights are whole and its own.

    Raises:
        StateError: they are not.
        PivmError: they do not fit into memory, or need a package that is not installed.
    """
    try:
        with memory_advice("use a machine with more memory"):
            opened.load(torch.device("cpu"))
    except ModuleNotFoundError as error:
        raise PivmError(
            f"{opened.folder}: {error.name} is not installed, which generators of kind {opened.kind.name} need: "
            f"pip install 'pivm[{opened.kind.name}]'"
        ) from None


def public_facts(facts: Mapping[str, Any], hashes: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The published form of ``model.json``.

    Args:
        facts: of the model folder.
        hashes: SHA-256 by file name.

    Returns:
        The facts without patients, the folder of released weights and whatever this version does not know; and the
        keys that were left out.
    """
    public: dict[str, Any] = {key: facts[key] for key in _CARRIED if key in facts}
    public["patients"] = []
    made = facts.get("made", {})
    public["made"] = {key: made[key] for key in ("code", "versions") if key in made}
    left_out = [key for key in sorted(facts) if key not in public and key != HASHES]
    left_out += [f"made.{key}" for key in sorted(made) if key not in public["made"]]
    left_out += ["patients"] if facts.get("patients") else []
    if facts["settings"].get("weights"):
        public["settings"] = {**facts["settings"], "weights": _RELEASED}
        left_out.append("settings.weights")
    public[HASHES] = dict(hashes)
    return public, tuple(left_out)


def require_nobody(folder: Path, files: Mapping[str, bytes | Path], names: Iterable[str]) -> None:
    """Refuse texts that name a patient, this machine or a path.

    Args:
        folder: of the model, for messages.
        files: name -> text; files on disk hold tensors alone.
        names: of patients and of this machine.

    Raises:
        PivmError: the first place where one is named.
    """
    words = {name for name in names if name}
    telling = {name for name in words if len(name) >= _TELLING}
    in_values = _any_of(telling)
    in_text = _any_of({name for name in telling if not name.isdigit()})  # a number in a card is a number
    for file, content in files.items():
        if not isinstance(content, bytes):
            continue
        text = content.decode("utf-8")
        said = _strings(json.loads(text)) if file.endswith(".json") else [("", text)]
        for key, value in said:
            named = (in_values if key else in_text).search(value)
            found = _path_in(value, whole=bool(key)) or (named[0] if named else value if value in words else None)
            if found:
                raise PivmError(
                    f"{folder / file}{f': {key}' if key else ''}: holds {found!r}, a path or the name of a training "
                    "patient or of this machine, which must not be published; take it out"
                )


def _any_of(words: Set[str]) -> re.Pattern[str]:
    """One of the words as a whole; of none of them nothing."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(words))) or '(?!)'})(?!\w)", re.IGNORECASE)


def _path_in(text: str, whole: bool) -> str | None:
    """A path in a text; a value of JSON (``whole``) holds no slash at all."""
    if whole:
        return text if re.search(r"[/\\]|^~", text) else None
    found = _PATH.search(_URL.sub("", text))
    return found[0] if found else None


def _strings(value: Any, key: str = "top") -> Iterator[tuple[str, str]]:
    """All strings in a value of JSON, keys too, with where they stand."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield key, str(name)
            yield from _strings(inner, f"{key}.{name}" if key != "top" else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)


def _plain_copy(path: Path, sort: bool) -> bytes:
    """JSON written anew: what a reader would not see, such as a key that comes twice, stays behind."""
    return _json(json.loads(path.read_text(encoding="utf-8")), sort)


def _json(value: Any, sort: bool) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=sort) + "\n").encode("utf-8")


def _require_no_metadata(path: Path) -> None:
    with safe_open(path, "pt") as weights:
        found = dict(weights.metadata() or {})
    found.pop("format", None)
    if found:
        raise StateError(f"{path}: its header holds {', '.join(sorted(found))}, expected tensors alone: save it again")
