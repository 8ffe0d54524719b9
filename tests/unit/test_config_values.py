"""Every key of the schema refuses three wrong values, of another type, out of its range and nonsense, and is named."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pivm.config import schema, validate
from pivm.errors import ConfigError

ROOT = Path(__file__).parents[2]
#: where the branches of the schema lie in the config below: name of a layout or kind -> name of an entry
ENTRIES = {
    **{"totalsegmentator": "totalsegmentator", "nnunet": "cases", "dicom": "series", "phantom": "phantom"},
    **{"diffusion": "pivm", "maisi": "maisi", "gaussian": "gaussian", "prior_map": "prior"},
}
ELSEWHERE = {"cases": {"layout": "nnunet", "path": "x"}, "series": {"layout": "dicom", "path": "x"}}
NAN = float("nan")


def keys(part: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict]]:
    """(dotted path, schema) of every key, sections included; the entry of a branch stands for all of its kind."""
    if path:
        yield ".".join(path), part
    for name, inside in part.get("properties", {}).items():
        yield from keys(inside, (*path, name))
    others = part.get("additionalProperties")
    if isinstance(others, dict) and "allOf" in others:
        for branch in others["allOf"]:
            (condition,) = branch["if"]["properties"].values()
            yield from keys(branch["then"], (*path, ENTRIES[condition["const"]]))
        (chosen,) = others["allOf"][0]["if"]["properties"]
        yield f"{'.'.join(path)}.{ENTRIES[condition['const']]}.{chosen}", others["properties"][chosen]


def kinds_of(part: dict) -> set[str]:
    if "enum" in part:
        return {"enum"}
    if "properties" in part and "type" not in part:
        return {"object"}
    kinds = part["type"]
    return {kinds} if isinstance(kinds, str) else set(kinds)


def of_another_type(part: dict) -> Any:
    values = {"object": {"a": 1}, "array": [{"a": 1}], "string": "some", "number": 7.5, "boolean": True}
    taken = kinds_of(part) | ({"number"} if "integer" in kinds_of(part) else set())
    return next(value for kind, value in values.items() if kind not in taken)


def out_of_range(part: dict) -> Any:
    """A value of the right type beyond a limit, or one of the names that does not exist."""
    kinds = kinds_of(part)
    if "enum" in kinds:
        return 35 if 34 in part["enum"] else "none of them"
    if "object" in kinds:
        return {"no such key": 1}
    if kinds & {"integer", "number"} and "items" not in part:
        return next(
            part[limit] + beyond
            for limit, beyond in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1), ("exclusiveMaximum", 0))
            if limit in part
        )
    if "array" in kinds:
        if kinds_of(part["items"]) & {"integer", "number"}:
            return [out_of_range(part["items"])] * part.get("minItems", 1)
        return [""]
    return True if "boolean" in kinds else ""


def nonsense(part: dict) -> Any:
    kinds = kinds_of(part)
    if "object" in kinds:
        return ["nonsense"]
    if "array" in kinds:
        return [None]
    if kinds & {"integer", "number"}:
        return NAN
    return "maybe" if kinds <= {"boolean", "enum"} else " "


#: keys whose nearest wrong value is not in their schema: what they name must exist, or go with another key
BESIDES = {
    "labels": [35, ["liver", "liver"], "organs"],
    "dataset": ["nowhere", "", 3],
    "segmentation.encoder": ["resnet19", "", 18],
    "tables.generated": ["nobody", "", 3],
    "tables.ablation.of": [3, None, ["pivm"]],
    "tables.generators": [["nobody"], [], "pivm"],
    "selection.organs": [["livr"], [], "liver"],
}


def wrong_values() -> Iterator[tuple[str, Any]]:
    for key, part in keys(schema()):
        leaf = key.rpartition(".")[2]
        if key in BESIDES:
            values = BESIDES[key]
        elif leaf == "mapping":
            values = [5, {}, ["nonsense"]]
        elif "boolean" in kinds_of(part):
            values = [1, "maybe", []]
        else:
            values = [of_another_type(part), out_of_range(part), nonsense(part)]
        for value in values:
            yield key, value


def config() -> dict:
    whole = yaml.safe_load((ROOT / "config.yaml").read_text())
    whole["datasets"] |= copy.deepcopy(ELSEWHERE)
    return whole


BASE = config()
WRONG = list(wrong_values())


def test_three_wrong_values_of_every_key_are_refused_by_name():
    assert len(WRONG) >= 3 * 200
    for key, value in WRONG:
        whole = copy.deepcopy(BASE)
        *path, last = key.split(".")
        place = whole
        for part in path:
            place[part] = place.get(part) or {}  # a section that may be null is
            place = place[part]
        place[last] = copy.deepcopy(value)
        if key.startswith("datasets.") and path[1:]:
            whole["dataset"] = path[1]
        refused = refusal(whole)
        assert refused is not None, f"{key}: {value!r} passes"
        assert refused.key == key or refused.key.startswith(f"{key}."), (key, value, str(refused))


def refusal(whole: dict) -> ConfigError | None:
    try:
        validate(whole)
    except ConfigError as error:
        return error
    return None


def test_the_config_they_are_put_into_is_right():
    validate(copy.deepcopy(BASE))
