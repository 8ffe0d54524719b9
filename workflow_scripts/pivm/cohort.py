"""Which scans are used, and who is in which split."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from pivm.errors import CohortError, ConfigError, StateError, nearest
from pivm.labels import LabelSet
from pivm.slices import SubjectRecord, read_names

SPLITS = ("train", "val", "test")


def selection_table(records: list[SubjectRecord], refused: dict[str, str]) -> pd.DataFrame:
    """One row per scan with its status and reason.

    Args:
        refused: name -> reason of folders that never became a subject (unsafe names and the like).
    """
    rows = [
        {
            "subject": r.subject,
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
            "spacing_mm": "x".join(f"{s:.3g}" for s in r.spacing),
        }
        for r in records
    ]
    rows += [{"subject": name, "status": "set aside", "reason": reason} for name, reason in refused.items()]
    table = pd.DataFrame(rows).sort_values("subject", ignore_index=True)
    texts = ("subject", "status", "reason", "spacing_mm")
    return table.astype({column: "Int64" for column in table.columns if column not in texts})


def label_table(records: list[SubjectRecord], label_set: LabelSet, explicit: bool) -> pd.DataFrame:
    """How often each label occurs among the selected scans.

    Args:
        explicit: the labels were listed by hand; then one that no scan has a mask for is an error.

    Raises:
        ConfigError: see ``explicit``; the nearest mask name that does occur is proposed.
    """
    used = [r for r in records if r.status == "selected"]
    rows = []
    for k, name in enumerate(label_set.names, start=1):
        having = [r for r in used if r.voxels.get(name)]
        rows.append({"id": k, "label": name, "patients": len(having), "voxels": sum(r.voxels[name] for r in having)})
        if explicit and used and all(name in r.missing for r in used):
            found = {n for r in used for n in label_set.names if n not in r.missing}
            raise ConfigError("labels", f"{name!r} has no mask file in any selected scan{nearest(name, found)}")
    return pd.DataFrame(rows)


def split_patients(subjects: list[str], settings: dict, own_split: dict[str, str]) -> pd.DataFrame:
    """Assign each patient to train, val or test.

    With ``source: auto`` the data set's own split is used where it has one. Otherwise patients are ranked by
    a hash of seed and name, so that adding one patient moves at most the patients at the borders.

    Args:
        subjects: selected patients; settings: config section ``split``; own_split: patient -> split.

    Returns:
        Columns ``subject, split, source``.

    Raises:
        CohortError: too few patients, or a patient that the data set's own split does not know.
    """
    own = {s: own_split.get(s, "") for s in subjects}
    use_own = settings["source"] == "dataset" or (settings["source"] == "auto" and any(own.values()))
    if use_own:
        unknown = sorted(s for s, split in own.items() if split not in SPLITS)
        if unknown:
            raise CohortError(
                f"split: {len(unknown)} patients, first {unknown[0]!r}, have no split in the data set's meta.csv "
                f"(found {own[unknown[0]]!r}, expected one of {', '.join(SPLITS)}); complete it, or set "
                "split.source: random"
            )
        assigned = own
    else:
        assigned = _ranked_split(subjects, settings)
    table = pd.DataFrame({"subject": sorted(subjects)})
    table["split"] = table["subject"].map(assigned)
    table["source"] = "dataset" if use_own else f"random, seed {settings['seed']}"
    for split in ("train", "test"):
        if not (table["split"] == split).any():
            raise CohortError(f"split: no patient left for {split!r} among {len(subjects)} selected patients")
    return table


def volume_sources(split: dict[str, str], selection: pd.DataFrame, wanted: str, count: int) -> list[str]:
    """The subjects whose labels become whole synthetic volumes, by name.

    Args:
        selection: the selection table; wanted: ``train`` (training patients) or ``labels_only`` (subjects that
            have labels and no CT, in no split).

    Raises:
        CohortError: the data set holds no such subject, or none is wanted.
    """
    if count == 0:
        raise CohortError("synthesis.volumes is 0, but volumes are asked for; set it to 1 or more")
    if wanted == "train":
        names = sorted(s for s, part in split.items() if part == "train")
    else:
        names = sorted(selection.loc[selection["status"] == "labels only", "subject"])
    if not names:
        raise CohortError(
            f"synthesis.volumes_from: {wanted}, but no subject of that kind is in the data set (found statuses "
            f"{', '.join(sorted(set(selection['status'])))}); set it to train, or add subjects with labels alone"
        )
    return names[:count]


def _ranked_split(subjects: list[str], settings: dict) -> dict[str, str]:
    total = len(subjects)
    count = {s: _patients(settings[s], total) for s in ("test", "val")}
    if total - sum(count.values()) < 1:
        raise CohortError(
            f"split: {total} selected patients, but {count['test']} for test, {count['val']} for val and at least "
            "1 for training are needed; lower split.test and split.val, or add patients"
        )
    ranked = sorted(subjects, key=lambda s: hashlib.sha256(f"{settings['seed']}:{s}".encode()).hexdigest())
    test, val = count["test"], count["val"]
    return {s: "test" if i < test else "val" if i < test + val else "train" for i, s in enumerate(ranked)}


def _patients(share: float, total: int) -> int:
    """A number of patients: a share below 1 of all, or the number itself."""
    return max(1, round(share * total)) if 0 < share < 1 else int(share)


def read_split(path: Path) -> dict[str, str]:
    """The split as written by this module.

    Raises:
        StateError: a patient in two splits, or a split of another name.
    """
    table = read_names(path)
    doubled = table.loc[table["subject"].duplicated(), "subject"]
    if len(doubled):
        raise StateError(f"{path}: patient {doubled.iloc[0]!r} is listed more than once")
    wrong = table.loc[~table["split"].isin(SPLITS), "split"]
    if len(wrong):
        raise StateError(f"{path}: found split {wrong.iloc[0]!r}, expected one of {', '.join(SPLITS)}")
    return dict(zip(table["subject"], table["split"], strict=True))


def require_split(subjects, split: dict[str, str], allowed: tuple[str, ...], purpose: str) -> None:
    """Assert that every patient of a data set belongs to the splits it may come from.

    Raises:
        StateError: a patient of another split would leak into ``purpose``.
    """
    for subject in sorted(set(subjects)):
        if split.get(subject) not in allowed:
            raise StateError(
                f"{purpose}: patient {subject!r} is in split {split.get(subject)!r}, allowed are {', '.join(allowed)}; "
                "the split changed after this was made: run the workflow again"
            )
