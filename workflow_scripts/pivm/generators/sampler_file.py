"""How a trained generator samples: ``sampler.json`` of its folder, which changes without a new training.

This module is free of torch: the job that writes the file takes no time.
"""

from __future__ import annotations

import json
from pathlib import Path

from pivm.errors import StateError, nearest

#: kind -> key -> allowed names, or ``int`` for a number from 1 on; other kinds have no sampler, and an empty file
KEYS = {
    "diffusion": {"name": ("dpm++", "ddim", "ddpm"), "steps": int},
    "maisi": {"steps": int, "batch": int},
}


def write_sampler(folder: Path, values: dict) -> None:
    """Write the sampler settings of a generator into its folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sampler.json").write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")


def read_sampler(folder: Path, kind: str) -> dict:
    """What :func:`write_sampler` wrote, or what a person made of it.

    Raises:
        StateError: the file is missing, or holds another key or value than the kind knows.
    """
    path, keys = Path(folder) / "sampler.json", KEYS.get(kind, {})
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StateError(
            f"{folder}: not a complete model ({error}); sampler.json holds: {', '.join(keys) or 'nothing, as {}'}"
        ) from None
    if not isinstance(values, dict) or values.keys() != keys.keys():
        found = ", ".join(values) if isinstance(values, dict) else type(values).__name__
        raise StateError(f"{path}: found {found or 'no key'}, expected {', '.join(keys) or 'no key'} for kind {kind}")
    for key, allowed in keys.items():
        if allowed is int:
            if type(values[key]) is not int or values[key] < 1:
                raise StateError(f"{path}: {key}: found {values[key]!r}, expected a whole number from 1 on")
        elif values[key] not in allowed:
            hint = nearest(values[key], allowed)
            raise StateError(f"{path}: {key}: found {values[key]!r}{hint}, expected one of {', '.join(allowed)}")
    return values
