"""What tells a synthetic CT from a scan: a text in its NIfTI header, and a JSON file beside it on how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pivm.scans.nifti import write_volume

#: ``descrip`` of the header, which holds 79 letters
DESCRIPTION = "SYNTHETIC CT made by PIVM from organ labels; not a scan, not for diagnosis"


def facts_beside(place: str | Path) -> Path:
    """The JSON file of a synthetic CT: ``ct.json`` beside ``ct.nii.gz``."""
    place = Path(place)
    return place.with_name(place.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def write_synthetic_ct(hu: np.ndarray, affine: np.ndarray, path: Path, facts: dict[str, Any]) -> None:
    """Write a synthetic CT with its marks.

    Args:
        hu: int16, as :func:`pivm.scans.nifti.write_volume` takes it.
        affine: voxel index to mm.
        path: of the NIfTI file.
        facts: how it was made: generator, hash of the model, seed, source of the labels, versions.
    """
    write_volume(hu, affine, path, description=DESCRIPTION)
    write_facts(facts_beside(path), facts)


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """The JSON file of a synthetic CT."""
    text = json.dumps({"synthetic": True, "description": DESCRIPTION, **facts}, indent=1, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def read_marks(place: str | Path) -> dict[str, Any] | None:
    """How a synthetic CT was made, as its JSON file says; None for a scan, which has none."""
    try:
        facts = json.loads(facts_beside(place).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and facts.get("synthetic") is True else None
