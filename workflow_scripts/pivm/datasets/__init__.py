"""Data sets: one module per layout lists the subjects and reads their CT and labels.

A layout is a module or package of this package that holds a ``LAYOUT`` (:class:`pivm.datasets.layout.Layout`): its
settings, its checks and its functions. Nothing else names the layouts: schema, checks and readers are found here. What
a layout lists are plain :class:`Subject` values, which the jobs hand to :func:`read_ct` and :func:`read_labels`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pivm.datasets.layout import Layout
from pivm.datasets.listing import Listing, Subject
from pivm.errors import ConfigError, nearest
from pivm.labels import LabelSet
from pivm.scans.label_maps import LabelMap, Policy
from pivm.scans.nifti import Grid, Volume
from pivm.scans.quality import clean_padding
from pivm.settings import read_settings, schema_of


@functools.cache
def layouts() -> dict[str, Layout]:
    """name -> layout, of all modules of this package that hold a ``LAYOUT``."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    entries = [module.LAYOUT for module in modules if hasattr(module, "LAYOUT")]
    return {entry.name: entry for entry in entries}


def _keys(layout: Layout) -> list[str]:
    return [field.name for field in dataclasses.fields(layout.settings)]


def dataset_schema() -> dict[str, Any]:
    """JSON Schema of one entry of ``datasets``: the keys of all layouts, each with the types of its own layout.

    A key of another layout passes here; :func:`check_dataset` says which layout reads it.
    """
    branches, keys = [], {}
    for name, layout in layouts().items():
        schema = schema_of(layout.settings)
        keys |= {key: {} for key in schema["properties"]}
        own = {part: schema[part] for part in ("properties", "required") if part in schema}
        branches.append({"if": {"properties": {"layout": {"const": name}}, "required": ["layout"]}, "then": own})
    layout = {"enum": list(layouts()), "description": "how the scans are stored"}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["layout"],
        "properties": {"layout": layout, **keys},
        "allOf": branches,
    }


def check_dataset(name: str, settings: Mapping[str, Any], labels: tuple[str, ...]) -> None:
    """Check one entry of ``datasets`` for what its schema cannot say.

    Args:
        name: of the entry.
        settings: its keys and values.
        labels: the label names of the run, which a mapping may lead to beside those of the 34.

    Raises:
        ConfigError: a key that its layout does not read, or a value that it cannot use.
    """
    dataset = Dataset(name, settings)
    known = _keys(dataset.layout)
    for key in settings:
        if key != "layout" and key not in known:
            raise _unread(f"datasets.{name}.{key}", key, dataset.layout)
    dataset.layout.check(f"datasets.{name}", dataset.settings, labels)


def _unread(place: str, key: str, layout: Layout) -> ConfigError:
    readers = [other.name for other in layouts().values() if key in _keys(other)]
    if not readers:
        known = _keys(layout)
        return ConfigError(place, f"unknown key{nearest(key, known)}; allowed here: layout, {', '.join(known)}")
    hint = "; unpack the archive and set path to the folder" if key == "download" else ""
    return ConfigError(place, f"is read by layout {' or '.join(readers)}, but the layout is {layout.name}{hint}")


def layout_of(name: str) -> Layout:
    """The layout of a name.

    Raises:
        ConfigError: there is none; the nearest name is proposed.
    """
    if name not in layouts():
        raise ConfigError(
            "datasets.<name>.layout", f"unknown {name!r}{nearest(name, layouts())}, expected {', '.join(layouts())}"
        )
    return layouts()[name]


@dataclass(frozen=True)
class Dataset:
    """One entry of ``datasets`` in the config.

    Attributes:
        name: of the entry.
        entry: its keys and values, ``layout`` included.
    """

    name: str
    entry: Mapping[str, Any]

    @property
    def layout(self) -> Layout:
        """Its layout; raises ConfigError where there is none of that name."""
        return layout_of(self.entry["layout"])

    @functools.cached_property
    def settings(self) -> Any:
        """The settings object of the layout.

        Raises:
            ConfigError: an unknown key, or one that is missing.
        """
        own = {key: value for key, value in self.entry.items() if key != "layout"}
        if isinstance(own.get("mapping"), dict):  # YAML reads the id 7 as a number
            own["mapping"] = {str(theirs): ours for theirs, ours in own["mapping"].items()}
        return read_settings(self.layout.settings, own, f"datasets.{self.name}")

    @functools.cached_property
    def roots(self) -> list[str]:
        """Its folders or archives, ``~`` expanded."""
        path = self.settings.path
        return [os.path.expanduser(root) for root in ([path] if isinstance(path, str) else path)]

    def to_fetch(self) -> Path | None:
        """The archive that ``download`` names, where it is not there yet.

        Raises:
            ConfigError: ``path`` is not one zip.
        """
        if getattr(self.settings, "download", None) is None or all(os.path.exists(root) for root in self.roots):
            return None
        if len(self.roots) > 1 or not self.roots[0].endswith(".zip"):
            raise ConfigError(
                f"datasets.{self.name}.path",
                f"found {', '.join(self.roots)}, which is not there; `download` wants one name that ends in .zip",
            )
        return Path(self.roots[0])

    def listing(self) -> Listing:
        """The subjects of this data set; those that the workflow makes are known before they exist.

        Raises:
            DataError: no such folder, no subject, or two subjects of one name.
        """
        return self.layout.list_subjects(dataclasses.replace(self.settings, path=tuple(self.roots)))


def read_ct(subject: Subject) -> Volume:
    """The CT of a subject: int16 HU in RAS+ orientation.

    Raises:
        DataError: it cannot be used; the message says why.
    """
    return layout_of(subject.layout).read_ct(subject)


def read_labelled_ct(subject: Subject, label_set: LabelSet, policy: Policy, padding: str) -> tuple[Volume, LabelMap]:
    """CT and labels of a subject on one grid.

    Args:
        subject: with a CT.
        label_set: the organs that are looked for.
        policy: what is done about labels that do not fit.
        padding: config key ``quality.padding``, as at preparation: under ``aside`` no scan with padding was selected.

    Raises:
        DataError: CT or labels cannot be used; the message says why.
    """
    volume = read_ct(subject)
    clean_padding(volume, padding)
    return volume, read_labels(subject, label_set, volume.grid, policy)


def read_labels(subject: Subject, label_set: LabelSet, grid: Grid | None, policy: Policy) -> LabelMap:
    """The labels of a subject.

    Args:
        subject: where it lies.
        label_set: the organs that are looked for.
        grid: that of its CT; ``None`` for labels without CT, which then bring their own.
        policy: what is done about labels that do not fit.

    Raises:
        DataError: they cannot be used; the message says why.
    """
    return layout_of(subject.layout).read_labels(subject, label_set, grid, policy)
