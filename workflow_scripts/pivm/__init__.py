"""PIVM: synthetic abdominal CT from organ labels with diffusion on the variation around organ means.

>>> import pivm
>>> pivm.__all__
['SyntheticCT', '__version__', 'generate_ct']
"""

from __future__ import annotations

import tomllib
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pivm.synthesis.inference import SyntheticCT, generate_ct

__all__ = ["SyntheticCT", "__version__", "generate_ct"]


def _version() -> str:
    """That of the source tree where this is one, as an older one may be installed beside it; else the installed one."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    if project.is_file():
        facts = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        if facts.get("name") == "pivm":
            return facts["version"]
    try:
        return metadata.version("pivm")
    except metadata.PackageNotFoundError:  # a copy of the library alone, put on the path by the workflow
        return "unknown"


__version__ = _version()


def __getattr__(name: str) -> Any:
    """Import the public names where they are first used: torch takes seconds, which ``import pivm`` should not cost."""
    if name in ("SyntheticCT", "generate_ct"):
        return getattr(import_module("pivm.synthesis.inference"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
