"""The ablation (paper, section 3.5): a generator beside a twin that knows fewer labels and is the same otherwise."""

from __future__ import annotations

from typing import Any

from pivm.errors import ConfigError, nearest
from pivm.generators.kinds import kind_of
from pivm.labels import LabelSet


def generators(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> entry: those under ``generators``, and the twin that the ablation derives of one of them."""
    own, ablation = config["generators"], config["tables"]["ablation"]
    if _ablation_fault(config):
        return own
    return {**own, _twin(ablation): {**own[ablation["of"]], "labels": ablation["labels"]}}


def ablation_methods(config: dict[str, Any]) -> dict[str, str]:
    """Method -> generator of the ablation: one that knows all labels of the run, and its twin with fewer.

    Raises:
        ConfigError: there is no such pair.
    """
    if fault := _ablation_fault(config):
        raise ConfigError("tables.ablation", fault)
    ablation = config["tables"]["ablation"]
    labels = len(LabelSet.from_config(config["labels"]))
    return {f"labels_{labels}": ablation["of"], f"labels_{ablation['labels']}": _twin(ablation)}


def _twin(ablation: dict[str, Any]) -> str:
    return f"{ablation['of']}_{ablation['labels']}"


def _ablation_fault(config: dict[str, Any]) -> str:
    """Why there is no ablation; empty where there is one."""
    ablation, own = config["tables"]["ablation"], config["generators"]
    of, labels = ablation["of"], ablation["labels"]
    if of not in own:
        return f"unknown generator {of!r}{nearest(of, own)}, expected one of {', '.join(own)}"
    if "labels" not in kind_of(own[of], f"generators.{of}").entry_schema()["properties"]:
        return f"generator {of!r} is of kind {own[of]['kind']}, which learns no labels"
    if own[of].get("labels") is not None:
        return f"generator {of!r} knows {own[of]['labels']} labels itself, expected one without `labels`"
    every, few = (LabelSet.from_config(value).names for value in (config["labels"], labels))
    if not set(few) < set(every):
        return (
            f"the run's own labels are {len(every)}, expected more than the {labels} of the twin, and these among them"
        )
    twin = _twin(ablation)
    if twin in own and own[twin] != {**own[of], "labels": labels}:
        return f"the twin is named {twin}, but `generators` has another entry of that name; rename it"
    return ""
