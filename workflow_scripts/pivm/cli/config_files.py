"""The config as Snakemake would merge it: config.yaml with overlays over it, key by key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pivm.cli.command import require
from pivm.errors import ConfigError

#: beside the library where this is a checkout
CHECKOUT = Path(__file__).parents[3] / "config.yaml"


def read_config(overlays: Sequence[Path]) -> dict[str, Any]:
    """The checked config of a run.

    Args:
        overlays: files as after ``--configfile``, over the ``config.yaml`` of this folder, or of the checkout.

    Raises:
        ConfigError: no config.yaml, no YAML, or a wrong key or value.
    """
    from pivm.config import validate

    base = Path("config.yaml") if Path("config.yaml").is_file() else CHECKOUT
    config: dict[str, Any] = {}
    for path in (base, *overlays):
        _lay_over(config, _read(path))
    validate(config)
    return config


def _read(path: Path) -> dict[str, Any]:
    yaml = require("yaml", "workflow")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            str(path), "no such file; go to the folder of the workflow, which holds config.yaml"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"no YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(str(path), f"found {type(content).__name__}, expected keys and values")
    return content


def _lay_over(config: dict[str, Any], overlay: dict[str, Any]) -> None:
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _lay_over(config[key], value)
        else:
            config[key] = value
