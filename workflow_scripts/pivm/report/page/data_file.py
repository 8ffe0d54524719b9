"""Data for the page, as scripts: a browser fetches no file from the disk, but runs one that a script tag names."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

#: what could end a script tag or open another one, when someone puts the file into a page
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def write_data(name: str, value: Any, folder: Path) -> None:
    """Write ``<folder>/data/<name>.js``, which hands a value to ``pivm.put`` of the page.

    Args:
        name: of the value; may hold ``/``.
        value: of dicts, lists, texts and numbers; a number that is not finite becomes null.
        folder: of the page.
    """
    path = Path(folder) / "data" / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"pivm.put({_script(name)}, {_script(value)});\n", encoding="ascii")


def _script(value: Any) -> str:
    r"""JSON in ASCII that holds no ``<``, ``>`` or ``&``.

    >>> _script({"</script>": float("nan")})
    '{"\\u003c/script\\u003e":null}'
    """
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _plain(value: Any) -> Any:
    """Numbers of numpy as those of Python, rounded to six digits; not finite ones as None."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
