"""The kinds of generators: each states its settings, its class and its checks in one entry, ``KIND``.

A kind is a package of :mod:`pivm.generators`, or a module of one that groups several (:mod:`pivm.generators.controls`).
Entries are imported when the workflow starts, so their modules are free of torch; the class of a kind is imported where
it is used.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pivm.errors import ConfigError, nearest
from pivm.settings import plain, read_settings, schema_of, setting, type_hints

if TYPE_CHECKING:
    from pivm.generators.protocol import Generator, Trainable

#: what the folder of a trained generator of any kind needs to generate
MODEL_FILES = ("model.safetensors", "model.json", "prior.json", "sampler.json")


class Misfit(NamedTuple):
    """A key of the sampler that does not go with the training, and what is wrong with it."""

    key: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """What every kind knows. Fields that are settings classes are sections that all generators of a kind share."""

    name: str = setting("its key under `generators`, and its column in the tables")
    kind: str = setting("one of the kinds")


@dataclass(frozen=True)
class Kind:
    """One kind of generator.

    Attributes:
        name: value of ``kind`` in the config; config section of what its generators share, if they share anything.
        settings: a subclass of :class:`GeneratorSettings`.
        implementation: ``module:class``, a :class:`pivm.generators.protocol.Generator`.
        trainer: ``module:class`` of what alone a training needs of it, a base class of it that neither makes slices nor
            depends on how they are made; empty where that is the implementation.
        rules: ``rules/<rules>.smk`` trains it.
        stages: folders below the generator's of trainings that come before the last.
        learnt: it trains a network; others are controls, which a learnt generator must beat.
        check: raises ConfigError where settings do not go together, given the pixels per side of a slice.
        misfit: what of a sampler does not go with the training, ``None`` for nothing.
        earlier: dotted keys of the settings that models of earlier versions lack, with what these did.
        describe: how a generator came about, a clause for notes and model cards.
    """

    name: str
    settings: type[GeneratorSettings]
    implementation: str
    trainer: str = ""
    rules: str = "generators"
    stages: tuple[str, ...] = ()
    learnt: bool = True
    check: Callable[[Any, int], None] = lambda settings, image_size: None
    misfit: Callable[[Any], Misfit | None] = lambda settings: None
    describe: Callable[[Any], str] = lambda settings: "without training"
    earlier: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def sections(self) -> dict[str, type]:
        """Names and classes of the sections that all generators of the kind share."""
        hints = type_hints(self.settings)
        names = (field.name for field in dataclasses.fields(self.settings))
        return {name: hints[name] for name in names if dataclasses.is_dataclass(hints[name])}

    @property
    def sampler(self) -> type | None:
        """Settings class of ``sampler.json``; ``None`` for a kind that does not sample step by step."""
        return self.sections.get("sampler")

    def with_earlier(self, values: Mapping[str, Any], section: str = "") -> dict[str, Any]:
        """Settings of a model with its sections, or one section, with the keys that its version did not know yet."""
        places = {key.rpartition("."): then for key, then in self.earlier.items()}
        whole = {key: then for (place, _, key), then in places.items() if place == section} | dict(values)
        below = {} if section else {key: whole[key] for key in self.sections if isinstance(whole.get(key), Mapping)}
        return {**whole, **{key: self.with_earlier(part, key) for key, part in below.items()}}

    def section_schema(self, partial: bool = False) -> dict[str, Any]:
        """JSON Schema of the config section of the kind's name; ``partial``: of the ``overrides`` of one generator."""
        properties = {name: schema_of(section, partial) for name, section in self.sections.items()}
        schema = {"type": "object", "additionalProperties": False, "properties": properties}
        return schema if partial else {**schema, "required": list(properties)}

    def entry_schema(self) -> dict[str, Any]:
        """JSON Schema of an entry of this kind under ``generators``."""
        schema = schema_of(self.settings)
        properties = {k: v for k, v in schema["properties"].items() if k not in self.sections and k != "name"}
        if self.sections:
            properties["overrides"] = self.section_schema(partial=True)
        required = [key for key in schema["required"] if key in properties]
        return {**schema, "properties": properties, "required": required}

    def resolve(self, name: str, entry: Mapping[str, Any], shared: Mapping[str, Any]) -> Any:
        """The settings of one generator.

        Args:
            name: its key under ``generators``.
            entry: what stands there; its ``overrides`` replace single keys of ``shared``.
            shared: the config section of the kind's name; empty for a kind without one.

        Returns:
            An object of :attr:`settings`.
        """
        overrides = entry.get("overrides", {})
        own = {key: value for key, value in entry.items() if key != "overrides"}
        sections = {key: {**values, **overrides.get(key, {})} for key, values in shared.items()}
        return read_settings(self.settings, {"name": name, **own, **sections}, f"generators.{name}")

    def load(self) -> type[Generator]:
        """The class that generates; imports torch and what else it needs."""
        return _found(self.implementation)

    def load_trainer(self) -> type[Trainable]:
        """The class that trains; imports torch and what else it needs."""
        return _found(self.trainer or self.implementation)


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


@functools.cache
def kinds() -> dict[str, Kind]:
    """All kinds by name, in the order of their modules."""
    found = list(_entries("pivm.generators"))
    return {kind.name: kind for kind in sorted(found, key=lambda kind: not kind.learnt)}


def _entries(package: str) -> Iterator[Kind]:
    """Entries of the packages below one, and of the modules of those that have none themselves."""
    place = str(Path(typing.cast(str, importlib.import_module(package).__file__)).parent)
    for info in pkgutil.iter_modules([place], f"{package}."):
        if not info.ispkg and package == "pivm.generators":
            continue  # what all kinds share
        module = importlib.import_module(info.name)
        if hasattr(module, "KIND"):
            yield module.KIND
        elif info.ispkg:
            yield from _entries(info.name)


def kind_of(entry: Mapping[str, Any], key: str) -> Kind:
    """The kind that an entry of the config, or the settings of a model, name.

    Args:
        entry: has a key ``kind``.
        key: dotted path of the entry, for the message.

    Raises:
        ConfigError: no such kind.
    """
    name = entry.get("kind")
    if not isinstance(name, str) or name not in kinds():
        raise ConfigError(f"{key}.kind", f"found {name!r}{nearest(str(name), kinds())}, expected {', '.join(kinds())}")
    return kinds()[name]


def training_settings(settings: GeneratorSettings) -> dict[str, Any]:
    """What the weights of a generator depend on, as plain values: its settings without those of the sampler."""
    return {key: value for key, value in plain(settings).items() if key != "sampler"}
