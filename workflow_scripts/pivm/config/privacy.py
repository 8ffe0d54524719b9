"""The privacy audit: what its section asks for must go together; checked where the target is asked for."""

from __future__ import annotations

from typing import Any

from pivm.config import kind_named
from pivm.config.ablation import generators
from pivm.errors import ConfigError, nearest


def require_audit(config: dict[str, Any]) -> None:
    """Raises ConfigError where the over-trained controls cannot be made, or the percentiles are the wrong way round."""
    privacy, controls = config["privacy"], config["privacy"]["controls"]
    name, key = controls["generator"], "privacy.controls.generator"
    entries = generators(config)
    fit = [n for n in entries if "training" in kind_named(config, n).sections]
    if name not in entries:
        found = f"unknown {name!r}{nearest(name, entries)}"
        raise ConfigError(key, f"{found}, expected one of kind diffusion: {', '.join(fit) or 'there is none'}")
    if name not in fit:
        kind = kind_named(config, name).name
        raise ConfigError(
            key, f"{name!r} is of kind {kind}, expected one of kind diffusion: {', '.join(fit) or 'there is none'}"
        )
    multiple, size = 2 ** len(controls["channels"]), config["image"]["size"]
    if size % multiple:
        raise ConfigError(
            "privacy.controls.channels",
            f"{len(controls['channels'])} levels need an image.size that is a multiple of {multiple}, found {size}",
        )
    if privacy["copy_percentile"] >= privacy["near_percentile"]:
        raise ConfigError(
            "privacy.near_percentile",
            f"found {privacy['near_percentile']}, expected more than copy_percentile, {privacy['copy_percentile']}",
        )
    if config["split"]["val"] == 0 and config["split"]["source"] == "random":
        raise ConfigError("split.val", "found 0, but copies are told by validation patients; set it to 1 or more")
