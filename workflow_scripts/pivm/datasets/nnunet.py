"""nnU-Net's raw layout: ``imagesTr``, ``labelsTr``, ``dataset.json`` (versions 1 and 2; MSD, AMOS, BTCV, FLARE, KiTS).

``imagesVa`` and ``imagesTs`` count where their labels exist; only then is there a split of the data set's own.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pivm.datasets.layout import LabelNames, Layout
from pivm.datasets.listing import Listing, Subject, require_folder
from pivm.datasets.mappings import LARGEST_ID, check_mapping, resolve_ids
from pivm.errors import DataError
from pivm.labels import LabelSet
from pivm.scans.files import how_to_convert, is_ghost, short
from pivm.scans.label_maps import LabelMap, Policy, relabel
from pivm.scans.nifti import Grid
from pivm.settings import setting

PARTS = {"Tr": "train", "Va": "val", "Ts": "test"}


@dataclass(frozen=True)
class NnunetSettings:
    """An entry of ``datasets`` in this layout."""

    path: str | tuple[str, ...] = setting("folder that holds dataset.json, or a list", pattern=r"\S", min_items=1)
    mapping: str | dict[str, str] | None = setting("their name or id: organ name, or the name of a shipped map", None)


def check(key: str, settings: NnunetSettings, known: tuple[str, ...]) -> None:
    """Raises ConfigError where ``mapping`` cannot be used."""
    check_mapping(f"{key}.mapping", settings.mapping, known)


def list_subjects(settings: NnunetSettings) -> Listing:
    """Find the cases of one or more data sets; only names and ``dataset.json`` are read.

    Raises:
        DataError: no such folder, no usable ``dataset.json``, no case, or two cases of one name.
        ConfigError: the mapping does not fit ``dataset.json``.
    """
    listing = Listing()
    for root in map(Path, settings.path):
        require_folder(root)
        facts = _read_json(root / "dataset.json")
        ids = resolve_ids(_label_names(facts, root / "dataset.json"), settings.mapping, f"{root}/dataset.json")
        ending = facts.get("file_ending", ".nii.gz")
        split = {}
        for part, name in PARTS.items():
            split |= dict.fromkeys(_list_part(root, part, ending, ids, listing), name)
        if {"train", "test"} <= set(split.values()):
            listing.split.update(split)
    if not listing.subjects:
        raise DataError(f"{', '.join(settings.path)}: no case found, expected imagesTr/ and labelsTr/ in it")
    return listing


def _read_json(path: Path) -> dict:
    try:
        facts = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; it names the labels of an nnU-Net data set") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable JSON ({short(error)})") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("labels"), dict) or not facts["labels"]:
        raise DataError(f"{path}: no 'labels' in it, expected id -> name or name -> id")
    ending = facts.get("file_ending", ".nii.gz")
    if ending not in (".nii.gz", ".nii"):
        hint = how_to_convert(f"case{ending}") if isinstance(ending, str) else ""
        raise DataError(f"{path}: file_ending {ending!r}, expected .nii.gz or .nii{hint and f'; {hint}'}")
    channels = facts.get("channel_names", facts.get("modality", {"0": "CT"}))
    first = str(channels.get("0", "CT")) if isinstance(channels, dict) else "CT"
    if "MR" in first.upper() and "CT" not in first.upper():
        raise DataError(f"{path}: channel 0 is {first!r}, expected CT")
    return facts


def _label_names(facts: dict, path: Path) -> dict[str, list[str]]:
    """id -> its names, from version 1 (id: name) or version 2 (name: id, or name: list of ids)."""
    names: dict[str, list[str]] = {}
    for key, value in facts["labels"].items():
        pairs = [(key, value)] if str(key).isdecimal() else [(i, key) for i in _as_list(value)]
        for i, name in pairs:
            if not str(i).isdecimal() or int(i) > LARGEST_ID or not isinstance(name, str):
                raise DataError(f"{path}: label {key!r}: {value!r}, expected an id up to {LARGEST_ID} and a name")
            if int(i) and name not in ("ignore", "background"):
                names.setdefault(str(int(i)), []).append(name)
    return names


def _as_list(value) -> list:
    return value if isinstance(value, list) else [value]


def _list_part(root: Path, part: str, ending: str, ids: dict[str, str], listing: Listing) -> list[str]:
    """Take up one pair of folders; returns the names of its labelled cases."""
    labels = _files(root / f"labels{part}", ending)
    images: dict[str, list[Path]] = {}
    for stem, path in _files(root / f"images{part}", ending).items():
        # AMOS has amos_0001 and no channel suffix, so the labels decide what a trailing number means
        case = stem if stem in labels else re.sub(r"_\d{4}$", "", stem)
        images.setdefault(case, []).append(path)
    for case in sorted(images.keys() | labels.keys()):
        found = images.get(case, [])
        if case not in labels:
            listing.refuse(case, f"image without labels in labels{part}")
            continue
        fault = f"{len(found)} channels, expected one CT" if len(found) > 1 else ""
        ct = str(found[0]) if found else ""
        listing.add(case, str(labels[case]), Subject("nnunet", ct, str(labels[case]), ids, fault))
    return list(labels)


def _files(folder: Path, ending: str) -> dict[str, Path]:
    """stem -> file."""
    if not folder.is_dir():
        return {}
    found = [p for p in folder.iterdir() if p.name.endswith(ending) and not is_ghost(p.name) and p.is_file()]
    return {p.name.removesuffix(ending): p for p in found}


def label_names(subject: Subject, organs: tuple[str, ...]) -> LabelNames:
    """The names of ``dataset.json`` or of the mapping."""
    names = set(subject.ids.values())
    return LabelNames(names & set(organs), names - set(organs))


def read_labels(subject: Subject, label_set: LabelSet, grid: Grid | None, policy: Policy) -> LabelMap:
    """Read the file of all labels; see :func:`pivm.datasets.read_labels`."""
    known = {int(i): label_set.id_of(organ) for i, organ in subject.ids.items() if organ in label_set.names}
    unused = {organ for organ in subject.ids.values() if organ not in label_set.names}
    if not known:
        raise DataError(f"{subject.labels}: none of its labels ({', '.join(sorted(unused))}) is in the label set")
    merged = relabel(subject.labels, known, grid, policy)
    merged.files = {organ for organ in subject.ids.values() if organ in label_set.names}
    merged.unused = unused
    return merged


LAYOUT = Layout("nnunet", NnunetSettings, list_subjects, read_labels, check=check, label_names=label_names)
