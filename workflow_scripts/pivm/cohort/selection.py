"""Which scans are used, which of their slices, and whose labels are synthesised (paper, section 3.1)."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pivm.cohort.persons import persons
from pivm.cohort.record import SubjectRecord
from pivm.datasets.mappings import organ_of
from pivm.errors import ConfigError, DataError, nearest
from pivm.labels import LabelSet
from pivm.settings import setting

#: share of the labelled extent of a scan that its slices cover
LEAST_COVERED = 0.9


@dataclass(frozen=True)
class SelectionSettings:
    """Config section ``selection``: which scans are used, and which of their slices."""

    axial_slices: tuple[int, int] = setting("fewest and most axial slices of a scan", (24, 600), minimum=1)
    organs: tuple[str, ...] = setting(
        "organs that tell an abdominal scan",
        ("liver", "spleen", "kidney_right", "kidney_left", "stomach", "pancreas"),
        min_items=1,
        unique=True,
    )
    min_organs: int = setting("so many of these organs make an abdominal scan", 3, minimum=0)
    min_organ_ml: float = setting("volume from which on an organ counts, ml", 1.0, minimum=0, maximum=100_000)
    slices_per_scan: int = setting("slices, evenly spaced over the labelled part of the scan", 15, minimum=1)
    min_labels_per_slice: int = setting("organs that make a slice part of it", 3, minimum=1)
    overlap: Literal["first", "last", "error"] = setting(
        "a voxel that two masks claim: first or last in label order keeps it, or error (scan set aside)", "first"
    )


def selection_table(records: list[SubjectRecord], refused: dict[str, str]) -> pd.DataFrame:
    """One row per scan with its person, status and reason.

    Args:
        records: of all scans.
        refused: name -> reason of folders that never became a subject (unsafe names and the like).
    """
    of_person = persons(records)
    rows = [
        {
            "subject": r.subject,
            "patient": of_person[r.subject],
            "status": r.status,
            "reason": r.reason,
            "axial_slices": r.axial_slices,
            "slices": r.slices,
            "labels_present": len(r.voxels),
            "masks_missing": len(r.missing),
            "overlapping_voxels": r.overlapping_voxels,
            "padding_voxels": r.padding_voxels,
            "tiny_masks": r.tiny_masks,
            "resampled_files": r.resampled,
            "swapped_pairs": r.swapped_pairs,
            "turned_pairs": r.turned_pairs,
            "spacing_mm": "x".join(f"{s:.3g}" for s in r.spacing),
            "notes": "; ".join(r.notes),
        }
        for r in records
    ]
    rows += [
        {"subject": name, "patient": "", "status": "set aside", "reason": reason} for name, reason in refused.items()
    ]
    table = pd.DataFrame(rows).sort_values("subject", ignore_index=True)
    texts = ("subject", "patient", "status", "reason", "spacing_mm", "notes")
    return table.astype({column: "Int64" for column in table.columns if column not in texts})


def label_table(records: list[SubjectRecord], label_set: LabelSet, explicit: bool) -> pd.DataFrame:
    """How often each label occurs among the selected scans.

    Args:
        explicit: the labels were listed by hand; then one that no scan has a mask for is an error.

    Raises:
        ConfigError: see ``explicit``; the nearest mask name that does occur is proposed.
    """
    used, of_person = [r for r in records if r.status == "selected"], persons(records)
    rows = []
    for k, name in enumerate(label_set.names, start=1):
        having = [r for r in used if r.voxels.get(name)]
        patients = len({of_person[r.subject] for r in having})
        rows.append({"id": k, "label": name, "patients": patients, "voxels": sum(r.voxels[name] for r in having)})
        if explicit and used and all(name in r.missing for r in used):
            found = {n for r in used for n in label_set.names if n not in r.missing}
            raise ConfigError("labels", f"{name!r} has no mask file in any selected scan{nearest(name, found)}")
    return pd.DataFrame(rows)


def unused_names(records: list[SubjectRecord], label_set: LabelSet) -> pd.DataFrame:
    """Names of the data set that mean none of the labels, each once, with the label that is spelled most like it.

    Args:
        records: of all scans.
        label_set: the labels of the run.

    Returns:
        Columns ``name, scans, nearest, nearest_scans``: scans that have the name, the label (empty where none is like
        it) and how many scans have that label by another name; the likeliest slips first.
    """
    counts = Counter(name for r in records for name in r.unused)
    having = {label: sum(label not in r.missing for r in records) for label in label_set.names}
    rows = []
    for name, scans in counts.items():
        close = difflib.get_close_matches(organ_of(name), label_set.names, n=1, cutoff=0.6)
        label = close[0] if close else ""
        rows.append({"name": name, "scans": scans, "nearest": label, "nearest_scans": having.get(label, 0)})
    rows.sort(key=lambda row: (not row["nearest"], row["nearest_scans"], row["name"]))
    return pd.DataFrame(rows, columns=["name", "scans", "nearest", "nearest_scans"])


def require_abdomen(record: SubjectRecord, selection: SelectionSettings) -> None:
    """Raises DataError where too few of the organs that tell an abdominal scan are there."""
    voxel_ml = float(np.prod(record.spacing)) / 1000
    present = [o for o in selection.organs if record.voxels.get(o, 0) * voxel_ml >= selection.min_organ_ml]
    if len(present) < selection.min_organs:
        raise DataError(
            f"not an abdominal scan: {len(present)} of the organs in selection.organs reach "
            f"{selection.min_organ_ml:g} ml ({', '.join(present) or 'none'}), "
            f"at least {selection.min_organs} are needed{_not_understood(record)}"
        )


def _not_understood(record: SubjectRecord) -> str:
    """The names that might have been the organs that are lacking."""
    if not record.unused:
        return ""
    more = ", ..." if len(record.unused) > 6 else ""
    return f"; names that mean none of the labels: {', '.join(record.unused[:6])}{more}"


def choose_slices(per_slice: np.ndarray, count: int, min_labels: int) -> np.ndarray:
    """Evenly spaced slice numbers over the labelled extent of a scan.

    The extent runs from the first to the last slice with at least ``min_labels`` organs. The step is a whole number of
    slices and constant, so that the chosen slices form a stack of one known spacing, in which distances can be
    measured; they are centred in the extent. It is the largest step that fits ``count`` slices into the extent; where
    these leave out more than a tenth of it, it is one larger and the slices are fewer. From ``count`` 10 on, at least
    90 % of any extent are covered, from the lowest to the highest slice. Of 15, an extent of 100 slices and more gives
    14 or 15, and the shortest that does not give all, 17, gives 9.

    Args:
        per_slice: voxels of each id in each slice [S, ids], id 0 is background.
        count: slices to choose, at most.
        min_labels: organs that make a slice part of the extent.

    Returns:
        Ascending slice numbers, int [n].

    Raises:
        DataError: no slice holds enough organs.

    >>> per_slice = np.zeros((13, 3), int)
    >>> per_slice[2:12, 1:] = 50  # both organs in slices 2 to 11
    >>> choose_slices(per_slice, count=4, min_labels=2).tolist()
    [2, 5, 8, 11]
    """
    inside = np.flatnonzero((per_slice[:, 1:] > 0).sum(1) >= min_labels)
    if not inside.size:
        raise DataError(f"no axial slice holds {min_labels} of the labelled organs (selection.min_labels_per_slice)")
    first, extent = int(inside[0]), int(inside[-1] - inside[0] + 1)
    step = max((extent - 1) // max(count - 1, 1), 1)
    if count > 1 and (count - 1) * step + 1 < LEAST_COVERED * extent:
        step += 1
    chosen = min(count, 1 + (extent - 1) // step)
    offset = (extent - 1 - (chosen - 1) * step) // 2
    return first + offset + step * np.arange(chosen)
