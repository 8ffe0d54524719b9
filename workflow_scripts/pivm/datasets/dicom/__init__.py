"""DICOM: one folder of images per subject; labels as NIfTI, as a folder of masks, as DICOM-SEG or as RTSTRUCT."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import string
from dataclasses import dataclass
from pathlib import Path

from pivm.datasets import nnunet, totalsegmentator
from pivm.datasets.layout import LabelNames, Layout
from pivm.datasets.listing import Listing, Subject, file_facts, require_folder
from pivm.datasets.mappings import check_mapping, organ_in, resolve_ids
from pivm.errors import ConfigError, DataError
from pivm.labels import LabelSet
from pivm.scans.files import how_to_convert, is_ghost
from pivm.scans.label_maps import LabelMap, Policy
from pivm.scans.nifti import Grid, Volume
from pivm.scans.quality import PADDING_HU
from pivm.settings import setting

#: where the labels of a subject lie, from the data set's folder; without any, its own folder is searched
LABELS = "{subject}.nii.gz"


@dataclass(frozen=True)
class DicomSettings:
    """An entry of ``datasets`` in this layout."""

    path: str | tuple[str, ...] = setting(
        "folder of one folder of images per subject, or a list", pattern=r"\S", min_items=1
    )
    labels: str | None = setting(
        "label file or folder of a subject, {subject} stands for its folder", None, pattern=r"\S"
    )
    mapping: str | dict[str, str] | None = setting("their name or id: organ name, or the name of a shipped map", None)


def check(key: str, settings: DicomSettings, known: tuple[str, ...]) -> None:
    """Raises ConfigError where ``labels`` is no template or ``mapping`` cannot be used."""
    if settings.labels is not None and not _is_template(settings.labels):
        raise ConfigError(
            f"{key}.labels",
            f"found {settings.labels!r}, expected a path where {{subject}} stands for the subject's folder",
        )
    check_mapping(f"{key}.mapping", settings.mapping, known)


def _is_template(text: str) -> bool:
    try:
        fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
    except ValueError:
        return False
    return all(field[1:] == ("subject", "", None) for field in fields)


def list_subjects(settings: DicomSettings) -> Listing:
    """Find the series folders below one or more folders; only names, sizes and times are read.

    Raises:
        DataError: no such folder, no subject in it, or two subjects of one name.
        ConfigError: NIfTI labels without ``mapping``; or ``labels`` that name no file, or one for all subjects.
    """
    listing, mapping = Listing(), settings.mapping
    template = settings.labels or LABELS
    for root in map(Path, settings.path):
        require_folder(root)
        for folder in sorted(p for p in root.iterdir() if p.is_dir() and not is_ghost(p.name)):
            files = files_below(folder)
            if not files:
                listing.refuse(folder.name, "no file in the folder")
                continue
            labels = root / template.format(subject=folder.name)
            place = str(labels) if labels.exists() else ""
            if labels.is_file() and labels.name.endswith((".nii.gz", ".nii")):
                if mapping is None:
                    raise ConfigError("datasets.<name>.mapping", f"is needed: which organ is which id in {labels}?")
                ids = resolve_ids({}, mapping, place)
            else:
                ids = mapping if isinstance(mapping, dict) else {}
            facts = file_facts(files)
            if labels.is_dir():
                facts = hashlib.sha256(f"{facts}{file_facts(files_below(labels))}".encode()).hexdigest()[:20]
            listing.add(
                folder.name,
                str(folder),
                Subject("dicom", str(folder), place, dict(ids), fingerprint=facts, expected=str(labels)),
            )
    labelled = [s for s in listing.subjects.values() if s.labels]
    if len(labelled) > 1 and template.format(subject="") == template:
        raise ConfigError(
            "datasets.<name>.labels",
            f"found {template!r}, the same for {len(labelled)} subjects; write {{subject}} for their folder's name",
        )
    if listing.subjects and settings.labels and not labelled:
        raise ConfigError(
            "datasets.<name>.labels",
            f"found {template!r}, which exists in {', '.join(settings.path)} for no subject; correct it, or leave the "
            "key out where DICOM objects in the subjects' own folders hold the labels",
        )
    if not listing.subjects:
        raise DataError(f"{', '.join(settings.path)}: no subject found, expected one folder of DICOM files each")
    return listing


def files_below(folder: Path) -> list[Path]:
    """All files below a folder; links to folders are not followed, so they cannot loop."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_ghost(name)]
        found += [Path(place) / n for n in names if not is_ghost(n) and (Path(place) / n).is_file()]
    return sorted(found)


def read_ct(subject: Subject) -> Volume:
    """Read the one CT series of a folder; see :func:`pivm.datasets.dicom.series.read_series`."""
    from pivm.datasets.dicom.series import read_series

    return read_series(files_below(Path(subject.ct)), subject.ct, PADDING_HU)


def label_names(subject: Subject, organs: tuple[str, ...]) -> LabelNames | None:
    """Those of masks, of the mapping, or in the header of a DICOM object."""
    if subject.labels and Path(subject.labels).is_dir():
        return totalsegmentator.label_names(subject, organs)
    if subject.labels.endswith((".nii.gz", ".nii")):
        return nnunet.label_names(subject, organs)
    if importlib.util.find_spec("pydicom") is None:  # where jobs have an environment of their own
        return None
    from pivm.datasets.dicom.labels import names_in_objects

    names = names_in_objects([Path(subject.labels)] if subject.labels else files_below(Path(subject.ct)))
    if names is None:
        return None
    organs_of = {name: organ_in(name, organs, subject.ids) for name in names}
    return LabelNames(
        {organ for organ in organs_of.values() if organ}, {name for name in names if not organs_of[name]}, in_files=True
    )


def read_labels(subject: Subject, label_set: LabelSet, grid: Grid | None, policy: Policy) -> LabelMap:
    """Read the labels of a series; see :func:`pivm.datasets.read_labels`."""
    place = Path(subject.labels)
    if subject.labels and place.is_dir():
        return totalsegmentator.read_labels(subject, label_set, grid, policy)
    if subject.labels and place.name.endswith((".nii.gz", ".nii")):
        return nnunet.read_labels(subject, label_set, grid, policy)
    from pivm.datasets.dicom.labels import read_objects

    files = files_below(Path(subject.ct))
    objects = [place] if subject.labels else files
    if hint := how_to_convert(place.name) if subject.labels else "":
        raise DataError(f"{place}: {hint}")
    places = f"a DICOM-SEG or RTSTRUCT {f'in {place}' if subject.labels else f'among the files of {subject.ct}'}"
    if not subject.labels:
        places = f"{subject.expected} (file or folder) and for {places}"
    if grid is None:
        raise DataError(f"{subject.labels}: DICOM labels without their series, whose grid they are drawn on")
    return read_objects(files, objects, places, subject.ids, label_set, grid, policy)


LAYOUT = Layout("dicom", DicomSettings, list_subjects, read_labels, read_ct, check, label_names=label_names)
