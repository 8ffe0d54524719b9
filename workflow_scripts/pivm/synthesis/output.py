"""Where the CTs of many label maps and seeds are written, and which of them are there already."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pivm.errors import DataError, PivmError
from pivm.generators.kinds import MODEL_FILES
from pivm.labels import LabelSet
from pivm.learning.model_files import file_hash, file_hashes
from pivm.scans.label_names import write_label_names
from pivm.scans.nifti import write_volume
from pivm.synthesis.inference import Anatomy, SyntheticCT, require_nifti_name
from pivm.synthesis.marks import DESCRIPTION, facts_beside, write_facts, write_synthetic_ct

LAYOUTS = ("totalsegmentator", "nnunet")
_SUFFIXES = (".nii.gz", ".nii")


class Wanted(NamedTuple):
    """A CT that is asked for.

    Attributes:
        name: of the subject, with the seed where there are several.
        labels: file, or folder of masks.
        seed: of the noise.
        ct: file to write.
        layout: one of :data:`LAYOUTS`, or empty for the CT alone, without its labels.
    """

    name: str
    labels: Path
    seed: int
    ct: Path
    layout: str

    @property
    def note(self) -> Path:
        """JSON that says what the CT was made from: beside it, but nnU-Net wants nothing else beside images."""
        return self.ct.parent.parent / "synthetic" / f"{self.name}.json" if self.nnunet else facts_beside(self.ct)

    @property
    def nnunet(self) -> bool:
        """The layout is that of nnU-Net."""
        return self.layout == "nnunet"


def find_subjects(places: Iterable[Path]) -> list[Path]:
    """Label files and folders of masks; a folder of such folders, as a data set is, stands for all of them."""
    found = []
    for place in places:
        inside = [] if _has_masks(place) or not place.is_dir() else [p for p in sorted(place.iterdir()) if p.is_dir()]
        found += [folder for folder in inside if _has_masks(folder)] or [place]
    return found


def _has_masks(folder: Path) -> bool:
    return (folder / "segmentations").is_dir() or any(p.name.endswith(_SUFFIXES) for p in _files(folder))


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.is_file()] if folder.is_dir() else []


def plan_output(labels: list[Path], seeds: list[int], out: Path, layout: str) -> list[Wanted]:
    """The CTs that are asked for.

    Args:
        labels: of the subjects.
        seeds: of the noise; each gives another CT of the same labels.
        out: a NIfTI file for one CT, else a folder.
        layout: of that folder, one of :data:`LAYOUTS`.

    Raises:
        DataError: several CTs for one file, or two subjects of one name.
    """
    if out.name.endswith(_SUFFIXES):
        if len(labels) * len(seeds) > 1:
            raise DataError(f"{out}: one file, but {len(labels)} label maps x {len(seeds)} seeds; give a folder")
        return [Wanted(_name(labels[0]), labels[0], seeds[0], out, "")]
    if out.suffix and not out.is_dir():  # ct.mha, not the name of a folder
        require_nifti_name(out)
    wanted: dict[str, Wanted] = {}
    for place in labels:
        for seed in seeds:
            name = f"{_name(place)}_seed_{seed}" if len(seeds) > 1 else _name(place)
            ct = out / "imagesTr" / f"{name}_0000.nii.gz" if layout == "nnunet" else out / name / "ct.nii.gz"
            if name in wanted:
                raise DataError(f"two label maps are named {name}: {wanted[name].labels} and {place}; rename one")
            wanted[name] = Wanted(name, place, seed, ct, layout)
    return list(wanted.values())


def _name(place: Path) -> str:
    place = place.absolute()
    if place.is_dir():
        return place.parent.name if place.name == "segmentations" else place.name
    return place.name.removesuffix(".gz").removesuffix(".nii")


def model_files(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a model that a CT depends on."""
    return file_hashes(folder / name for name in MODEL_FILES)


def made_from(wanted: Wanted, model: dict[str, str], ids: str | None, body: Path | None, any_region: bool) -> dict:
    """What decides a CT: equal values give the same one."""
    return {
        "model": model,
        "labels": hash_of_labels(wanted.labels),
        "ids": ids,
        "body": file_hash(body) if body else None,
        "any_region": any_region,
        "seed": wanted.seed,
    }


def hash_of_labels(place: Path) -> str:
    """SHA-256 of a file, or of the masks in a folder with their names."""
    inside = place / "segmentations" if (place / "segmentations").is_dir() else place
    files = sorted(p for p in _files(inside) if p.name.endswith(_SUFFIXES)) if place.is_dir() else [place]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name if place.is_dir() else ''}\0{file_hash(file)}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def is_made(wanted: Wanted, facts: dict) -> bool:
    """Whether a CT is there already.

    Raises:
        PivmError: another one is.
    """
    if not wanted.ct.exists():
        return False
    try:
        noted = json.loads(wanted.note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = {}
    if isinstance(noted, dict) and noted.get("made_from") == facts:
        return True
    raise PivmError(
        f"{wanted.ct}: exists, and is of another model, seed or labels, or of unknown origin ({wanted.note.name} "
        "tells); take another --out, or --overwrite"
    )


def write_output(
    wanted: Wanted, ct: SyntheticCT, anatomy: Anatomy, label_set: LabelSet, more_facts: dict[str, Any]
) -> None:
    """Write the labels as the layout has them, the CT, and last what it was made from.

    Args:
        wanted: where.
        ct: the CT.
        anatomy: its labels.
        label_set: organs of the generator.
        more_facts: for its JSON file.
    """
    wanted.note.unlink(missing_ok=True)  # of the CT that is written over
    facts = {**ct.facts, "command": shlex.join(sys.argv), **more_facts}
    labels = anatomy.given.stored.from_ras(anatomy.given.label_map.array)
    if wanted.nnunet:
        names, folder = write_label_names(dict(enumerate(label_set.names, start=1))), wanted.ct.parent.parent
        write_volume(labels, ct.affine, folder / "labelsTr" / f"{wanted.name}.nii.gz", names)
        write_volume(ct.hu, ct.affine, wanted.ct, description=DESCRIPTION)
        _write_dataset(folder, label_set)
        write_facts(wanted.note, facts)
        return
    if wanted.layout:
        for k, organ in enumerate(label_set.names, start=1):
            mask = (labels == k).astype(np.uint8)
            write_volume(mask, ct.affine, wanted.ct.parent / "segmentations" / f"{organ}.nii.gz")
    write_synthetic_ct(ct.hu, ct.affine, wanted.ct, facts)


def _write_dataset(folder: Path, label_set: LabelSet) -> None:
    facts = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **{organ: k for k, organ in enumerate(label_set.names, start=1)}},
        "numTraining": len(list((folder / "labelsTr").glob("*.nii.gz"))),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
