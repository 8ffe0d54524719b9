"""What a schema cannot say of a data set in the config: which keys go with which layout, templates and mappings."""

from __future__ import annotations

import string

from pivm.datasets.mappings import LARGEST_ID, MAPPINGS
from pivm.errors import ConfigError, nearest
from pivm.labels import ORGANS_34

#: keys beside ``layout`` and ``path`` -> layouts that read them
READ_BY = {
    "download": ("totalsegmentator",),
    "mapping": ("totalsegmentator", "nnunet", "dicom"),
    "labels": ("dicom",),
    **dict.fromkeys(("patients", "seed", "matrix", "slice_spacing"), ("phantom",)),
}


def check_dataset(name: str, settings: dict, known: tuple[str, ...]) -> None:
    """Check one entry of ``datasets``.

    Args:
        known: the label names of the run, which a mapping may lead to beside those of the 34.

    Raises:
        ConfigError: a key that its layout does not read, or a value that it cannot use.
    """
    place, layout = f"datasets.{name}", settings["layout"]
    for key in settings:
        if layout not in READ_BY.get(key, (layout,)):
            hint = "; unpack the archive and set path to the folder" if key == "download" else ""
            allowed = " or ".join(READ_BY[key])
            raise ConfigError(f"{place}.{key}", f"is read by layout {allowed}, but the layout is {layout}{hint}")
    if layout == "phantom" and not isinstance(settings["path"], str):
        raise ConfigError(f"{place}.path", f"found {settings['path']!r}, expected the one folder to write it to")
    if "labels" in settings:
        _check_template(f"{place}.labels", settings["labels"])
    if "mapping" in settings:
        _check_mapping(f"{place}.mapping", settings["mapping"], layout, known)


def _check_template(key: str, template: str) -> None:
    problem = ConfigError(key, f"found {template!r}, expected a path where {{subject}} stands for the subject's folder")
    try:
        fields = [(field, spec, how) for _, field, spec, how in string.Formatter().parse(template) if field is not None]
    except ValueError:
        raise problem from None
    if any(field != ("subject", "", None) for field in fields):
        raise problem


def _check_mapping(key: str, mapping: str | dict, layout: str, known: tuple[str, ...]) -> None:
    if isinstance(mapping, str):
        if layout == "totalsegmentator":
            raise ConfigError(key, f"found {mapping!r}, expected mask name: organ name; shipped maps are for ids")
        if mapping not in MAPPINGS:
            raise ConfigError(
                key, f"unknown {mapping!r}{nearest(mapping, MAPPINGS)}, expected one of {', '.join(MAPPINGS)} or a map"
            )
        return
    for theirs, ours in mapping.items():
        names = dict.fromkeys((*known, *ORGANS_34))
        if ours not in names:
            swapped = f"; write it the other way round, {ours}: {theirs}" if str(theirs) in names else ""
            raise ConfigError(
                f"{key}.{theirs}",
                f"found {ours!r}{nearest(ours, names)}, expected a name of `labels` or of the 34 organs{swapped}",
            )
        if str(theirs).removeprefix("-").isdecimal() and not 1 <= int(theirs) <= LARGEST_ID:
            raise ConfigError(f"{key}.{theirs}", f"an id is 1 to {LARGEST_ID}, and 0 is background")
