"""Numbers, truth values and null that arrive as texts: Snakemake reads all values inside `--config 'a={"b": 4}'` so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}


def read_texts(value: Any, schema: Mapping[str, Any]) -> Any:
    """Turn texts into what they say where the schema wants that and would not take the text itself.

    Args:
        value: a config or a part of it; mappings and lists are changed in place.
        schema: JSON Schema of the value.

    Returns:
        The value, another one where it is a text.

    >>> read_texts({"size": "64", "seeds": ["1", "2"]}, {"properties": {
    ...     "size": {"type": "integer"}, "seeds": {"type": "array", "items": {"type": "integer"}}}})
    {'size': 64, 'seeds': [1, 2]}
    """
    if isinstance(value, str):
        return _read(value, schema)
    if isinstance(value, dict):
        for key in value:
            for part in _schemas_of(key, value, schema):
                value[key] = read_texts(value[key], part)
    elif isinstance(value, list) and "items" in schema:
        value[:] = [read_texts(item, schema["items"]) for item in value]
    return value


def _schemas_of(key: str, whole: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the schema says of one key of a mapping, branches included whose condition the mapping meets."""
    others = schema.get("additionalProperties")
    if key in schema.get("properties", {}):
        yield schema["properties"][key]
    elif isinstance(others, Mapping):
        yield others
    for branch in schema.get("allOf", ()):
        if all(whole.get(name) == condition["const"] for name, condition in branch["if"]["properties"].items()):
            yield from _schemas_of(key, whole, branch["then"])


def _read(text: str, schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        said = int(text) if _WHOLE.fullmatch(text) else _WORDS.get(text.lower(), text)
        return said if text not in schema["enum"] and said in schema["enum"] else text
    kinds = schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "null" in kinds and text == "null":
        return None
    if "string" in kinds and ("pattern" not in schema or re.search(schema["pattern"], text)):
        return text
    if "boolean" in kinds and isinstance(_WORDS.get(text.lower()), bool):
        return _WORDS[text.lower()]
    if {"integer", "number"} & set(kinds) and _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if "number" in kinds and _NUMBER.fullmatch(text) else text
