"""Who is in which split, and the check that nobody is in two."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from pivm.cohort.own_split import require_fitting
from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.store import SliceStore
from pivm.errors import CohortError, StateError
from pivm.settings import setting

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SplitSettings:
    """Config section ``split``: patients per split, a number or a share below 1; the rest trains."""

    source: Literal["auto", "dataset", "random"] = setting(
        "auto: the data set's own split (meta.csv) where it has one; dataset; random", "auto"
    )
    seed: int = setting("of the random split", 1, minimum=0)
    val: float = setting("patients that choose between models, a number or a share below 1", 4, minimum=0)
    test: float = setting("patients of the tables, a number or a share below 1", 12, minimum=0)


def split_patients(subjects: list[str], settings: SplitSettings, own_split: dict[str, str]) -> pd.DataFrame:
    """Assign each patient to train, val or test.

    With ``source: auto`` the data set's own split is used where it has one. Otherwise patients are ranked by
    a hash of seed and name, so that adding one patient moves at most the patients at the borders.

    Args:
        subjects: selected patients.
        settings: config section ``split``.
        own_split: patient -> split.

    Returns:
        Columns ``subject, split, source``.

    Raises:
        CohortError: too few patients, or a patient that the data set's own split does not know.
    """
    if settings.source == "auto":
        require_fitting(subjects, own_split)
    own = {s: own_split.get(s, "") for s in subjects}
    use_own = settings.source == "dataset" or (settings.source == "auto" and any(own.values()))
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
    table["source"] = "dataset" if use_own else f"random, seed {settings.seed}"
    for split in ("train", "test"):
        if not (table["split"] == split).any():
            raise CohortError(f"split: no patient left for {split!r} among {len(subjects)} selected patients")
    return table


def _ranked_split(subjects: list[str], settings: SplitSettings) -> dict[str, str]:
    total = len(subjects)
    count = {s: _patients(getattr(settings, s), total) for s in ("test", "val")}
    if total - sum(count.values()) < 1:
        raise CohortError(
            f"split: {total} selected patients, but {count['test']} for test, {count['val']} for val and at least "
            "1 for training are needed; lower split.test and split.val, or add patients"
        )
    ranked = sorted(subjects, key=lambda s: hashlib.sha256(f"{settings.seed}:{s}".encode()).hexdigest())
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
    table = read_patient_csv(path)
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


def training_rows(store: SliceStore, split_file: Path, purpose: str) -> dict[str, np.ndarray]:
    """Rows of the target slices of the training and validation patients.

    Args:
        store: the slice store.
        split_file: the split, which the store is held against.
        purpose: what is trained, for the message.

    Raises:
        StateError: a slice is of a patient of another split.
    """
    split, subjects = read_split(split_file), store.index["subject"]
    rows = {part: store.rows(part) for part in ("train", "val")}
    for part, part_rows in rows.items():
        require_split(subjects[part_rows], split, (part,), purpose)
    return rows
