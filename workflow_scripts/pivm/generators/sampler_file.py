"""How a trained generator samples: ``sampler.json`` of its folder, which changes without a new training.

This module is free of torch: the job that writes the file takes no time.
"""

from __future__ import annotations

import json
from pathlib import Path

from pivm.errors import StateError, nearest

SOLVERS = ("dpm++", "ddim", "ddpm")
#: kind -> key -> names, or type, smallest and largest number; other kinds have no sampler, and an empty file
KEYS: dict[str, dict[str, tuple]] = {
    "diffusion": {
        "name": SOLVERS,
        "steps": (int, 1, None),
        "guidance": (float, 1, None),
        "reach": (float, 0, None),
        "previous_from": (float, 0, 1),
    },
    "maisi": {"steps": (int, 1, 1000), "batch": (int, 1, None)},
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
        problem = _wrong(values[key], allowed)
        if problem:
            raise StateError(f"{path}: {key}: found {values[key]!r}{problem}")
    return values


def _wrong(value, allowed: tuple) -> str:
    """What is wrong with a value, empty where nothing is."""
    if isinstance(allowed[0], str):
        return "" if value in allowed else f"{nearest(value, allowed)}, expected one of {', '.join(allowed)}"
    kind, low, high = allowed
    fits = type(value) in (int, kind) and low <= value and (high is None or value <= high)
    limits = f"{low} to {high}" if high is not None else f"from {low} on"
    return "" if fits else f", expected a {'whole ' if kind is int else ''}number {limits}"


def misfit(settings: dict) -> tuple[str, str] | None:
    """What of a sampler does not go with the training of its generator.

    Args:
        settings: resolved settings of kind ``diffusion``, ``sampler`` included.

    Returns:
        The key and what is wrong with it, or ``None``.
    """
    sampler, steps = settings["sampler"], settings["noise"]["steps"]
    if sampler["steps"] > steps:
        return "steps", f"found {sampler['steps']}, expected at most the {steps} steps of `noise.steps`"
    if sampler["guidance"] > 1 and not settings["training"]["drop_labels"]:
        return "guidance", (
            f"found {sampler['guidance']}, but generator {settings['name']!r} never learns to go without labels; set "
            "training.drop_labels, for example to 0.1, and train it, or guidance: 1"
        )
    return None
