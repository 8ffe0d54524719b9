"""TotalSegmentator's layout: ``<id>/ct.nii.gz``, ``<id>/segmentations/<organ>.nii.gz``, optional ``meta.csv``.

A root is a folder or the published zip, which is read in place. The 34 labels have the same names in version 1 and
2 of the data set (class maps ``total_v1`` and ``total`` of the TotalSegmentator package); other names are mapped by
``mapping``, mask name -> label name.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pivm.datasets.fetch import Download
from pivm.datasets.layout import LabelNames, Layout
from pivm.datasets.listing import Listing, Subject, file_facts, require_folder
from pivm.datasets.mappings import check_mapping, organ_in
from pivm.datasets.meta_table import Meta, read_meta
from pivm.errors import ConfigError, DataError
from pivm.labels import LabelSet
from pivm.scans.files import READ_ERRORS, SEPARATOR, how_to_convert, is_ghost, open_zip, short
from pivm.scans.label_maps import LabelMap, Policy, merge_masks
from pivm.scans.nifti import Grid
from pivm.settings import setting

CT_NAMES = ("ct.nii.gz", "ct.nii")
#: what a subject may have in place of a CT that is read
FOREIGN_CTS = tuple(f"ct.{ending}" for ending in ("nrrd", "nhdr", "mha", "mhd", "mgz", "img"))
SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class TotalSegmentatorSettings:
    """An entry of ``datasets`` in this layout."""

    path: str | tuple[str, ...] = setting("folder or zip of <id>/ct.nii.gz, or a list", pattern=r"\S", min_items=1)
    download: Download | None = setting("where the zip is fetched from when it is not there", None)
    mapping: str | dict[str, str] | None = setting("mask name: organ name, for masks of other names", None)


def check(key: str, settings: TotalSegmentatorSettings, known: tuple[str, ...]) -> None:
    """Raises ConfigError where ``mapping`` leads to no organ, or is the name of a mapping of ids."""
    if isinstance(settings.mapping, str):
        raise ConfigError(
            f"{key}.mapping", f"found {settings.mapping!r}, expected mask name: organ name; shipped maps are for ids"
        )
    check_mapping(f"{key}.mapping", settings.mapping, known)


def list_subjects(settings: TotalSegmentatorSettings) -> Listing:
    """Find the subjects below one or more folders or zips; only names, sizes and ``meta.csv`` are read.

    Raises:
        DataError: no such folder, no subject in it, or two subjects of one name.
    """
    listing, mapping = Listing(), settings.mapping if isinstance(settings.mapping, dict) else {}
    for root in map(Path, settings.path):
        if root.suffix == ".zip" and not root.is_dir():
            _list_zip(root, mapping, listing)
        else:
            _list_folder(root, mapping, listing)
    if not listing.subjects:
        raise DataError(f"{', '.join(settings.path)}: no subject found, expected <id>/ct.nii.gz in it")
    return listing


def subject(
    folder: Path | str, ct: str, mapping: dict | None = None, fault: str = "", fingerprint: str = ""
) -> Subject:
    """The place of one subject; ``folder`` may be ``archive.zip::folder``."""
    return Subject(
        "totalsegmentator",
        f"{folder}/{ct}" if ct else "",
        f"{folder}/segmentations",
        dict(mapping or {}),
        fault,
        fingerprint,
    )


def _list_folder(root: Path, mapping: dict, listing: Listing) -> None:
    require_folder(root)
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and not is_ghost(p.name)):
        masks = folder / "segmentations"
        found = [name for name in CT_NAMES if os.path.lexists(folder / name)]
        foreign = [name for name in FOREIGN_CTS if not found and (folder / name).is_file()]
        if not found and not foreign and not masks.is_dir():
            listing.refuse(folder.name, "neither ct.nii.gz nor segmentations/ in the folder")
            continue
        # a dangling or looping link is no file
        files = [e for e in os.scandir(masks) if e.is_file() and not is_ghost(e.name)] if masks.is_dir() else []
        broken = [name for name in found if not (folder / name).is_file()]
        fault = f"{broken[0]} is no file, or a link that leads nowhere" if broken else _doubled(found)
        fault = fault or "".join(map(how_to_convert, foreign[:1]))
        listing.add(folder.name, str(folder), subject(folder, _one(found), mapping, fault, file_facts(files)))
    meta = root / "meta.csv"
    if meta.is_file():
        _take_up(read_meta(meta.read_bytes(), meta), listing)


def _one(found: list[str]) -> str:
    return found[0] if found else ""


def _doubled(found: list[str]) -> str:
    return f"two CTs in the folder: {' and '.join(found)}" if len(found) > 1 else ""


def _list_zip(root: Path, mapping: dict, listing: Listing) -> None:
    """The subjects of a zip; members that would leave the folder are refused, whatever they are."""
    try:
        with zipfile.ZipFile(root) as archive:
            members = [
                m for m in archive.infolist() if not m.is_dir() and not is_ghost(*PurePosixPath(m.filename).parts)
            ]
            tables = [m for m in members if PurePosixPath(m.filename).name == "meta.csv"]
            metas = [read_meta(archive.read(one), f"{root}{SEPARATOR}{one.filename}") for one in tables[:1]]
    except FileNotFoundError:
        raise DataError(f"{root}: no such file; put the zip there, or name its `download` (docs/datasets.md)") from None
    except READ_ERRORS as error:
        raise DataError(f"{root}: not a readable zip ({short(error)})") from None
    folders: dict[str, dict[str, zipfile.ZipInfo]] = {}  # by their names as the zip has them
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
            listing.refuse(member.filename, "member of the zip that leaves its folder")
        elif path.parent.name == "segmentations" or path.name in CT_NAMES:
            inside = "/".join(path.parts[-2:]) if path.parent.name == "segmentations" else path.name
            folders.setdefault(member.filename.removesuffix(inside).rstrip("/"), {})[inside] = member
    for folder, files in sorted(folders.items()):
        found = [name for name in CT_NAMES if name in files]
        facts = hashlib.sha256(repr(sorted((n, m.file_size, m.CRC) for n, m in files.items())).encode())
        place = f"{root}{SEPARATOR}{folder}"
        name = PurePosixPath(folder).name
        listing.add(name, place, subject(place, _one(found), mapping, _doubled(found), facts.hexdigest()[:20]))
    for meta in metas:
        _take_up(meta, listing)


def _take_up(meta: Meta, listing: Listing) -> None:
    listing.split.update(meta.split)
    for name, person in meta.persons.items():
        if name in listing.subjects:
            listing.subjects[name] = replace(listing.subjects[name], person=person)


@dataclass(frozen=True)
class MaskFiles:
    """The masks of one subject.

    Attributes:
        places: organ -> mask file or zip member.
        unused: names of masks that mean no organ of the label set.
        others: of these, name -> mask file or zip member, as far as it is of a format that is read.
    """

    places: dict[str, str]
    unused: set[str]
    others: dict[str, str]


def mask_files(folder: str, organs: Iterable[str], mapping: Mapping[str, str] | None = None) -> MaskFiles:
    """Find the masks of some organs, by their names as far as these are understood; compressed or not.

    Args:
        folder: the folder of the masks, or ``archive.zip::folder``.
        organs: that are looked for.
        mapping: mask name -> organ name.

    Raises:
        DataError: two masks of one organ.
    """
    root, _, inside = folder.partition(SEPARATOR)
    if inside:
        names = [n.removeprefix(f"{inside}/") for n in open_zip(root).namelist() if n.startswith(f"{inside}/")]
    else:
        names = [e.name for e in os.scandir(root) if e.is_file()] if os.path.isdir(root) else []
    known, places, unused, others = tuple(organs), {}, set(), {}
    for name in sorted(names):
        stem = name.removesuffix(".gz").removesuffix(".nii")
        if is_ghost(name) or "/" in name or not name.endswith(SUFFIXES):
            unused.update([name] if how_to_convert(name) and not is_ghost(name) else [])
            continue
        organ = organ_in(stem, known, mapping or {})
        if organ is None:
            unused.add(stem)
            others[stem] = f"{folder}/{name}"
        elif organ in places:
            raise DataError(f"{folder}: two masks of {organ}: {PurePosixPath(places[organ]).name} and {name}")
        else:
            places[organ] = f"{folder}/{name}"
    return MaskFiles(places, unused, others)


def label_names(subject: Subject, organs: tuple[str, ...]) -> LabelNames:
    """The masks of a subject by name; none for a subject that will be set aside for them."""
    try:
        masks = mask_files(subject.labels, organs, subject.ids)
    except DataError:
        return LabelNames(set(), set())
    return LabelNames(set(masks.places), masks.unused)


def read_labels(subject: Subject, label_set: LabelSet, grid: Grid | None, policy: Policy) -> LabelMap:
    """Merge the masks of a subject; see :func:`pivm.datasets.read_labels`."""
    masks = mask_files(subject.labels, label_set.names, subject.ids)
    if not masks.places:
        found = f"found {', '.join(sorted(masks.unused)[:8])}" if masks.unused else "no .nii.gz or .nii file in it"
        hint = next(filter(None, map(how_to_convert, sorted(masks.unused))), "")
        raise DataError(f"{subject.labels}: no mask of any organ in the label set; {hint or found}")
    merged = merge_masks({label_set.id_of(name): path for name, path in masks.places.items()}, grid, policy)
    merged.files, merged.unused = set(masks.places), masks.unused
    return merged


LAYOUT = Layout(
    "totalsegmentator", TotalSegmentatorSettings, list_subjects, read_labels, check=check, label_names=label_names
)
