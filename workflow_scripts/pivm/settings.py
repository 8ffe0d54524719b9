"""Settings as frozen dataclasses: a default, limits and one line of help for each key.

A kind, a layout or a stage states its settings once. The schema of the config, its cross-checks and the pages of the
documentation are derived from them, and the library works with the objects, so that a wrong key cannot surface in a
job.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union

from pivm.errors import ConfigError, nearest

T = TypeVar("T")
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null", dict: "object"}
#: limits of a setting by their names in JSON Schema
_LIMITS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "above": "exclusiveMinimum",
    "below": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique": "uniqueItems",
    "contains": "contains",
}


def setting(help: str, default: Any = dataclasses.MISSING, **limits: Any) -> Any:
    """A field of a settings class.

    Args:
        help: one line for people: what it is, with its unit.
        default: its value where the config is silent; without one the key must be given.
        limits: ``minimum``, ``maximum``, ``above``, ``below`` (exclusive), ``multiple_of``, ``pattern`` of the value or
            of the items of a list; ``min_items``, ``max_items``, ``unique`` and ``contains`` of a list.

    Raises:
        TypeError: a limit of another name.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Sampler:
    ...     steps: int = setting("network evaluations per slice", 5, minimum=1)
    >>> schema_of(Sampler)["properties"]["steps"]
    {'type': 'integer', 'minimum': 1, 'description': 'network evaluations per slice', 'default': 5}
    >>> read_settings(Sampler, {"steps": 10}, "sampler")
    Sampler(steps=10)
    """
    if unknown := limits.keys() - _LIMITS.keys():
        raise TypeError(f"no such limit: {', '.join(sorted(unknown))}")
    return dataclasses.field(default=default, metadata={"help": help, "limits": limits})


def schema_of(settings: type, partial: bool = False) -> dict[str, Any]:
    """JSON Schema of a settings class.

    Args:
        settings: a dataclass whose fields are made by :func:`setting`, or are settings classes themselves.
        partial: no key must be given, on any level: for what is laid over a complete section.
    """
    hints, properties, required = typing.get_type_hints(settings), {}, []
    for field in dataclasses.fields(settings):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            properties[field.name] = schema_of(typing.cast(type, kind), partial)
        else:
            properties[field.name] = _schema_of_type(kind, field.metadata["limits"])
            properties[field.name]["description"] = field.metadata["help"]
        if field.default is not dataclasses.MISSING:
            properties[field.name]["default"] = plain(field.default)
        elif field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema if partial or not required else {**schema, "required": required}


def _schema_of_type(kind: Any, limits: Mapping[str, Any]) -> dict[str, Any]:
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return {"enum": list(inside)}
    if origin is tuple:
        of_list = {_LIMITS[k]: v for k, v in limits.items() if _LIMITS[k].endswith("Items") or k == "contains"}
        of_item = {k: v for k, v in limits.items() if _LIMITS[k] not in of_list}
        if inside[-1] is not Ellipsis:
            of_list |= {"minItems": len(inside), "maxItems": len(inside)}
        return {"type": "array", **of_list, "items": _schema_of_type(inside[0], of_item)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of_type(inside[1], limits)}
    if origin in (Union, types.UnionType):
        return _schema_of_union(inside, limits)
    return {"type": _TYPES[kind], **{_LIMITS[k]: v for k, v in limits.items()}}


def _schema_of_union(members: Sequence[Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """One list of types, so that a message can name them all; words that stand for a number become a pattern."""
    schema: dict[str, Any] = {"type": []}
    for member in members:
        part = _schema_of_type(member, limits)
        if "enum" in part:
            words = [word for word in part["enum"] if isinstance(word, str)]
            part = {"type": "string", "pattern": f"^({'|'.join(words)})$"}
        schema["type"].append(part.pop("type"))
        schema |= part
    return schema


def read_settings(settings: type[T], values: Mapping[str, Any], key: str) -> T:
    """An object of a settings class from the values of the config or of a file.

    Types and limits are the schema's to check (:func:`pivm.config.validate`); here lists become tuples and sections
    objects.

    Args:
        settings: the class.
        values: by key; keys that are not given take their defaults.
        key: dotted path of ``values``, for messages.

    Raises:
        ConfigError: an unknown key, or one without a default that is not given.
    """
    known = dataclasses.fields(typing.cast(Any, settings))
    hints, fields = typing.get_type_hints(settings), {field.name: field for field in known}
    for name in values:
        if name not in fields:
            raise ConfigError(f"{key}.{name}", f"unknown key{nearest(name, fields)}; known: {', '.join(fields)}")
    made = {}
    for name, field in fields.items():
        if name in values:
            value, kind = values[name], hints[name]
            if dataclasses.is_dataclass(kind):
                value = read_settings(typing.cast(type, kind), value, f"{key}.{name}")
            made[name] = tuple(value) if isinstance(value, list) else value
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(key, f"the key {name!r} is missing")
    return settings(**made)


def plain(value: Any) -> Any:
    """Settings as values that YAML and JSON can hold: the inverse of :func:`read_settings`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
