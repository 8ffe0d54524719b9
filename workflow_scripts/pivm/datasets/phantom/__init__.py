"""The phantom: a cohort of procedural abdominal CT that the workflow makes itself, in TotalSegmentator's layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pivm.datasets.layout import LabelNames, Layout
from pivm.datasets.listing import Listing, Subject
from pivm.datasets.totalsegmentator import read_labels, subject
from pivm.errors import ConfigError
from pivm.labels import ORGANS_34
from pivm.settings import setting


@dataclass(frozen=True)
class PhantomSettings:
    """An entry of ``datasets`` that is made on the spot."""

    path: str | tuple[str, ...] = setting("the folder to write the scans to", pattern=r"\S", min_items=1)
    patients: int = setting("number of patients with a CT", minimum=1, maximum=9999)
    seed: int = setting("of the cohort; another seed gives other patients", minimum=0)
    matrix: int = setting("voxels per side of an axial slice", minimum=32, maximum=512)
    slice_spacing: float = setting("distance between axial slices, mm", minimum=1, maximum=20)
    labels_only: int = setting("number of further patients, who have labels and no CT", 0, minimum=0, maximum=9999)
    detail: bool = setting("also what only slices of 128 pixels and more show, such as renal pyramids", False)
    annotated: int | Literal["all"] = setting("what `split.annotated: auto` means here", "all", minimum=1)


def check(key: str, settings: PhantomSettings, known: tuple[str, ...]) -> None:
    """Raises ConfigError where ``path`` is not one folder."""
    if not isinstance(settings.path, str):
        raise ConfigError(f"{key}.path", f"found {list(settings.path)!r}, expected the one folder to write it to")


def list_subjects(settings: PhantomSettings) -> Listing:
    """The patients of the config; their files need not exist yet."""
    root = Path(settings.path[0])
    listing = Listing(files=[f"{root}/meta.csv"])
    for i in range(settings.patients + settings.labels_only):
        folder = root / f"phantom_{i:04d}"
        listing.add(folder.name, str(folder), subject(folder, "ct.nii.gz" if i < settings.patients else ""))
    return listing


def watched(patient: Subject) -> list[str]:
    """CT, where there is one, and all masks of a patient, which the rules of the phantom make."""
    masks = [f"{patient.labels}/{organ}.nii.gz" for organ in ORGANS_34]
    return [patient.ct, *masks] if patient.ct else masks


def label_names(patient: Subject, organs: tuple[str, ...]) -> LabelNames:
    """The organs that the phantom draws."""
    return LabelNames(set(organs) & set(ORGANS_34), set[str](ORGANS_34) - set(organs))


LAYOUT = Layout(
    "phantom",
    PhantomSettings,
    list_subjects,
    read_labels,
    check=check,
    watched=watched,
    label_names=label_names,
    rules="phantom.smk",
    procedural=True,
)
