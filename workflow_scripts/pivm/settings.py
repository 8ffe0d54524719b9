"""Settings as frozen dataclasses: a default, limits and one line of help for each key.

A kind, a layout or a stage states its settings once. The schema of the config, its cross-checks and the pages of the
documentation are derived from them, and the library works with the objects, so that a wrong key cannot surface in a
job.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union

from pivm.errors import ConfigError, nearest

T = TypeVar("T")
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null", dict: "object"}
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
    dict: "a mapping",
}
#: limits of a setting by their names in JSON Schema
_LIMITS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "above": "exclusiveMinimum",
    "below": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "min_length": "minLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique": "uniqueItems",
    "contains": "contains",
    "whole_from": "if",
}


def setting(help: str, default: Any = dataclasses.MISSING, **limits: Any) -> Any:
    """A field of a settings class.

    Args:
        help: one line for people: what it is, with its unit.
        default: its value where the config is silent; without one the key must be given.
        limits: ``minimum``, ``maximum``, ``above``, ``below`` (exclusive), ``multiple_of``, ``pattern`` and
            ``min_length`` of the value or of the items of a list; ``min_items``, ``max_items``, ``unique`` and
            ``contains`` of a list; ``whole_from`` for numbers that are a share below this and a count from it on.

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


@functools.cache
def type_hints(settings: type) -> dict[str, Any]:
    """Field -> type of a settings class; resolving the annotations takes longer than reading the values."""
    return typing.get_type_hints(settings)


def schema_of(settings: type, partial: bool = False) -> dict[str, Any]:
    """JSON Schema of a settings class.

    Args:
        settings: a dataclass whose fields are made by :func:`setting`, or are settings classes themselves.
        partial: no key must be given, on any level: for what is laid over a complete section.
    """
    hints, properties, required = type_hints(settings), {}, []
    for field in dataclasses.fields(settings):
        kind = hints[field.name]
        if section := _section(kind):
            properties[field.name] = schema_of(section, partial)
            if section is not kind:
                properties[field.name] |= {"type": ["object", "null"], "description": field.metadata["help"]}
        else:
            properties[field.name] = _schema_of_type(kind, field.metadata["limits"])
            properties[field.name]["description"] = field.metadata["help"]
        if field.default is not dataclasses.MISSING:
            properties[field.name]["default"] = plain(field.default)
        elif field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema if partial or not required else {**schema, "required": required}


def _section(kind: Any) -> type | None:
    """The settings class that a type is, alone or beside None."""
    members = [member for member in typing.get_args(kind) or (kind,) if member is not type(None)]
    return typing.cast(type, members[0]) if len(members) == 1 and dataclasses.is_dataclass(members[0]) else None


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
    schema = {"type": _TYPES[kind], **{_LIMITS[k]: v for k, v in limits.items() if k != "whole_from"}}
    if least := limits.get("whole_from"):
        count = {"type": "integer", "$comment": f"from {least} on; below {least} it is a share"}
        schema |= {"if": {"type": "number", "minimum": least}, "then": count}
    return schema


def _schema_of_union(members: Sequence[Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """One list of types, so that a message can name them all; words that stand for a number become a pattern."""
    schema: dict[str, Any] = {"type": []}
    words = [word for member in members for word in (typing.get_args(member) or (None,))]
    if all(member is type(None) or typing.get_origin(member) is Literal for member in members):
        return {"enum": words}
    for member in members:
        part = _schema_of_type(member, limits)
        if "enum" in part:
            words = [word for word in part["enum"] if isinstance(word, str)]
            part = {"type": "string", "pattern": f"^({'|'.join(words)})$"}
        schema["type"].append(part.pop("type"))
        schema |= part
    return schema


def read_settings(settings: type[T], values: Mapping[str, Any], key: str, complete: bool = False) -> T:
    """An object of a settings class from the values of the config or of a file.

    Args:
        settings: the class.
        values: by key; lists become tuples and sections objects.
        key: dotted path of ``values``, for messages.
        complete: no key may be left to its default, as in a file that says what was.

    Raises:
        ConfigError: an unknown key, one that is not given, or a value of another type or outside its limits.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(key, f"found {values!r}, expected a mapping")
    known = dataclasses.fields(typing.cast(Any, settings))
    hints, fields = type_hints(settings), {field.name: field for field in known}
    for name in values:
        if name not in fields:
            raise ConfigError(f"{key}.{name}", f"unknown key{nearest(name, fields)}; known: {', '.join(fields)}")
    given: dict[str, Any] = {}
    for name, field in fields.items():
        kind, section, path = hints[name], _section(hints[name]), f"{key}.{name}"
        if name not in values:
            if complete or (field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING):
                raise ConfigError(key, f"the key {name!r} is missing")
        elif section and section is not kind and values[name] is None:
            given[name] = None
        elif section:
            given[name] = read_settings(section, values[name], path, complete)
        else:
            if problem := _problem(kind, field.metadata["limits"], values[name]):
                raise ConfigError(path, f"found {values[name]!r}{problem}")
            given[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
    return settings(**given)


def _problem(kind: Any, limits: Mapping[str, Any], value: Any) -> str:
    """What is wrong with a value, empty where nothing is; the schema's checks for where no jsonschema is installed."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        known = any(type(word) is type(value) and word == value for word in members)
        return "" if known else f"{nearest(str(value), members)}, expected one of {', '.join(map(str, members))}"
    if origin is tuple:
        count = None if members[-1] is Ellipsis else len(members)
        if not isinstance(value, list | tuple) or (count is not None and len(value) != count):
            return f", expected a list of {count}" if count else ", expected a list"
        return next(filter(None, (_problem(members[0], limits, item) for item in value)), "")
    if origin in (Union, types.UnionType):
        problems = [_problem(member, limits, value) for member in members]
        return "" if "" in problems else problems[0]
    return _problem_of_scalar(origin or kind, limits, value)


def _problem_of_scalar(kind: type, limits: Mapping[str, Any], value: Any) -> str:
    wanted = f", expected {_WORDS[kind]}"
    if kind not in (int, float):
        return "" if isinstance(value, kind) else wanted
    low, high = limits.get("minimum"), limits.get("maximum")
    if low is not None:
        wanted += f" from {low} on" if high is None else f" {low} to {high}"
    elif (above := limits.get("above")) is not None:
        wanted += f" above {above}"
    if whole := limits.get("whole_from"):
        wanted += f", a whole one from {whole} on"
    if type(value) not in (int, kind):
        return wanted
    outside = (
        (low is not None and value < low)
        or (high is not None and value > high)
        or ("above" in limits and value <= limits["above"])
        or ("below" in limits and value >= limits["below"])
        or (whole is not None and value >= whole and type(value) is not int)
    )
    return wanted if outside else ""


def plain(value: Any) -> Any:
    """Settings as values that YAML and JSON can hold: the inverse of :func:`read_settings`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
