"""A fault that the schema finds in the config, as a message for people."""

from __future__ import annotations

from typing import Any

from pivm.errors import ConfigError, nearest

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def explain(error: Any) -> ConfigError:
    """The message: what was found, what is allowed and, for a name, the nearest right one.

    Args:
        error: a fault that the validator found.
    """
    while error.context:  # anyOf: the branch that got furthest says most
        error = max(error.context, key=lambda e: (len(e.absolute_path), e.validator != "type"))
    key = ".".join(str(p) for p in error.absolute_path) or "(top level)"
    found, allowed = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        wrong = next(k for k in found if k not in known)
        inside = f"{key}.{wrong}" if error.absolute_path else str(wrong)
        return ConfigError(inside, f"unknown key{nearest(wrong, known)}; allowed here: {', '.join(known)}")
    if error.validator == "required":
        lacking = next(k for k in allowed if k not in found)
        return ConfigError(key, f"the key {lacking!r} is missing")
    if error.validator == "enum":
        return ConfigError(
            key, f"found {found!r}{nearest(found, allowed)}, expected one of {', '.join(map(str, allowed))}"
        )
    if error.validator == "type":
        names = [allowed] if isinstance(allowed, str) else allowed
        comment = f" ({error.schema['$comment']})" if "$comment" in error.schema else ""
        return ConfigError(key, f"found {found!r}, expected {' or '.join(_TYPES[n] for n in names)}{comment}")
    if error.validator in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        sign = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}[error.validator]
        return ConfigError(key, f"found {found!r}, expected {sign} {allowed}")
    return ConfigError(key, f"found {found!r}: {error.message}")
