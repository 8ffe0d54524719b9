"""How a trained generator samples: ``sampler.json`` of its folder, which changes without a new training.

This module is free of torch: the job that writes the file takes no time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pivm.errors import ConfigError, StateError
from pivm.generators.kinds import Kind
from pivm.settings import read_settings


def write_sampler(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the sampler settings of a generator into its folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sampler.json").write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_sampler(folder: Path, kind: Kind) -> Any:
    """What :func:`write_sampler` wrote, or what a person made of it.

    Returns:
        An object of ``kind.sampler``; ``None`` for a kind without a sampler, whose file holds no key.

    Raises:
        StateError: the file is missing, or holds another key or value than the kind knows.
    """
    path = Path(folder) / "sampler.json"
    keys = list(kind.sampler.__dataclass_fields__) if kind.sampler else []
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StateError(
            f"{folder}: not a complete model ({error}); sampler.json holds: {', '.join(keys) or 'nothing, as {}'}"
        ) from None
    if kind.sampler and isinstance(values, dict):
        full = kind.with_earlier(values, "sampler")
        values = full if set(full) == set(keys) else values
    if not isinstance(values, dict) or set(values) != set(keys):
        found = ", ".join(values) if isinstance(values, dict) else type(values).__name__
        raise StateError(
            f"{path}: found {found or 'no key'}, expected {', '.join(keys) or 'no key'} for kind {kind.name}"
        )
    if not kind.sampler:
        return None
    try:
        return read_settings(kind.sampler, values, "sampler", complete=True)
    except ConfigError as error:
        raise StateError(f"{path}: {error.key.removeprefix('sampler.')}: {error.problem}") from None
