"""TotalSegmentator's layout: ``<id>/ct.nii.gz``, ``<id>/segmentations/<organ>.nii.gz``, optional ``meta.csv``."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

from pivm.errors import DataError

#: names that are safe as file names, wildcards and table cells
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass
class Listing:
    """The subjects of a data set folder.

    Attributes:
        subjects: name -> folder; refused: name -> reason, for folders that cannot be a subject;
        split: name -> the data set's own split, where ``meta.csv`` has one.
    """

    subjects: dict[str, Path] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)


def list_subjects(roots: list[str | Path]) -> Listing:
    """Find the subjects below one or more folders; nothing but folder names and ``meta.csv`` is read.

    Raises:
        DataError: no such folder, no subject in it, or two subjects of one name.
    """
    listing = Listing()
    seen: dict[str, Path] = {}
    for root in map(Path, roots):
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; set datasets.<name>.path to the folder that holds the scans")
        for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
            name = folder.name
            if not (folder / "ct.nii.gz").exists() and not (folder / "segmentations").is_dir():
                listing.refused[_printable(name)] = "neither ct.nii.gz nor segmentations/ in the folder"
            elif not SAFE_NAME.fullmatch(name):
                listing.refused[_printable(name)] = "name holds other characters than letters, digits, '.', '_', '-'"
            elif name.casefold() in seen:
                raise DataError(f"two subjects are named {name!r}: {seen[name.casefold()]} and {folder}")
            else:
                seen[name.casefold()] = folder
                listing.subjects[name] = folder
        listing.split.update(_own_split(root / "meta.csv"))
    if not listing.subjects:
        raise DataError(f"{', '.join(map(str, roots))}: no subject found, expected <id>/ct.nii.gz in it")
    return listing


def _own_split(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8-sig") as stream:
        head = stream.readline()
        rows = list(csv.DictReader(stream, head.strip().split(";"), delimiter=";"))
    names = [row.get("image_id") or "" for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path}: subject {name!r} is listed {names.count(name)} times")
    return {row["image_id"]: row["split"] for row in rows if row.get("image_id") and row.get("split")}


def ct_file(folder: Path) -> Path | None:
    """The CT of a subject, or ``None``."""
    path = Path(folder) / "ct.nii.gz"
    return path if path.exists() else None


def mask_files(folder: Path, organs: tuple[str, ...]) -> dict[str, Path]:
    """organ -> mask file, for those of ``organs`` that have one."""
    masks = Path(folder) / "segmentations"
    names = {p.name for p in masks.iterdir()} if masks.is_dir() else set()
    return {o: masks / f"{o}.nii.gz" for o in organs if f"{o}.nii.gz" in names}


def _printable(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:100]
