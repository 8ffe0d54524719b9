"""Who is in which split, and the check that nobody is in two."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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
#: of the table: label maps that serve synthesis, of persons who are in none of the others
LABELS_ONLY = "labels_only"
#: what the table says of where the split of a subject without CT comes from
WITHOUT_CT = "no CT"


@dataclass(frozen=True)
class SplitSettings:
    """Config section ``split``: patients per split, a whole number or a share below 1; the rest trains."""

    source: Literal["auto", "dataset", "random"] = setting(
        "auto: the data set's own split (meta.csv) where it has one; dataset; random", "auto"
    )
    seed: int = setting("of the random split", 1, minimum=0)
    val: float = setting(
        "patients that choose between models, a whole number or a share below 1", 4, minimum=0, whole_from=1
    )
    test: float = setting("patients of the tables, a whole number or a share below 1", 40, above=0, whole_from=1)
    annotated: int | Literal["auto", "all"] = setting(
        "training patients whose CT is used; the label maps of the others serve synthesis alone; auto: as the data set "
        "says (the phantom), otherwise all",
        "auto",
        minimum=1,
    )


def split_patients(persons: Mapping[str, str], settings: SplitSettings, own_split: Mapping[str, str]) -> pd.DataFrame:
    """Assign each patient to train, val or test, with all of his or her scans.

    With ``source: auto`` the data set's own split is used where it has one. Otherwise patients are ranked by
    a hash of seed and name, so that adding one patient moves at most the patients at the borders.

    Args:
        persons: selected scan -> the person it is of (:func:`pivm.cohort.persons.persons`).
        settings: config section ``split``.
        own_split: scan -> split.

    Returns:
        Columns ``subject, patient, split, source``, one row per scan.

    Raises:
        CohortError: too few patients; or the data set's own split does not know a scan, or has scans of one person in
            two parts.
    """
    if settings.source == "auto":
        require_fitting(persons, own_split)
    own = {scan: own_split.get(scan, "") for scan in persons}
    use_own = settings.source == "dataset" or (settings.source == "auto" and any(own.values()))
    if use_own:
        _check_own(own, persons)
        assigned = own
    else:
        of_person = _ranked_split(persons, settings)
        assigned = {scan: of_person[person] for scan, person in persons.items()}
    table = pd.DataFrame({"subject": sorted(persons)})
    table["patient"] = table["subject"].map(persons)
    table["split"] = table["subject"].map(assigned)
    table["source"] = "dataset" if use_own else f"random, seed {settings.seed}"
    for split in ("train", "test"):
        if not (table["split"] == split).any():
            raise CohortError(
                f"split: no patient left for {split!r} among {_amount(persons)}{_way_out(split, use_own)}"
            )
    return table


def _check_own(own: Mapping[str, str], persons: Mapping[str, str]) -> None:
    """Raises CohortError where the data set's own split lacks a scan, or parts the scans of a person."""
    unknown = sorted(scan for scan, split in own.items() if split not in SPLITS)
    if unknown:
        raise CohortError(
            f"split: {len(unknown)} scans, first {unknown[0]!r}, have no split in the data set's meta.csv "
            f"(found {own[unknown[0]]!r}, expected one of {', '.join(SPLITS)}); complete it, or set "
            "split.source: random"
        )
    scans: dict[str, list[str]] = {}
    for scan in sorted(own):
        scans.setdefault(persons[scan], []).append(scan)
    parted = [names for names in scans.values() if len({own[name] for name in names}) > 1]
    if parted:
        named = "; ".join(", ".join(f"{name} in {own[name]}" for name in names) for names in parted[:5])
        raise CohortError(
            f"split: {len(parted)} persons have scans in several parts of the data set's own split, by their patient's "
            f"ID or because two scans hold the same voxels: {named}{'; ...' if len(parted) > 5 else ''}; put the scans "
            "of a person into one part, leave copies out, or set split.source: random"
        )


def _way_out(split: str, use_own: bool) -> str:
    """The key that decides who is in a split."""
    if use_own:
        return f": the data set's own split (meta.csv) puts none into {split}; correct it, or set split.source: random"
    return f"; set split.{split} to 1 or more" if split != "train" else ""


def _amount(persons: Mapping[str, str]) -> str:
    """How many patients there are, and scans where these are more."""
    patients = len(set(persons.values()))
    more = f" with {len(persons)} scans (column patient of cohort/selection.csv)" if len(persons) > patients else ""
    return f"{patients} selected patients{more}"


def _ranked_split(persons: Mapping[str, str], settings: SplitSettings) -> dict[str, str]:
    patients = sorted(set(persons.values()))
    total = len(patients)
    count = {s: patients_wanted(getattr(settings, s), total) for s in ("test", "val")}
    if total - sum(count.values()) < 1:
        raise CohortError(
            f"split: {_amount(persons)}, but {count['test']} for test, {count['val']} for val and at least "
            "1 for training are needed; lower split.test and split.val, or add patients"
        )
    ranked = _ranked(patients, str(settings.seed))
    test, val = count["test"], count["val"]
    return {s: "test" if i < test else "val" if i < test + val else "train" for i, s in enumerate(ranked)}


def _ranked(patients: Iterable[str], seed: str) -> list[str]:
    """In an order by hash, where one patient more moves nobody past another."""
    return sorted(patients, key=lambda patient: hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest())


def _drawn_from(table: pd.DataFrame) -> pd.Series:
    """The scans with a CT that are neither in val nor in test: whom annotated patients are drawn from."""
    return table["split"].isin(("train", LABELS_ONLY)) & (table["source"] != WITHOUT_CT)


def require_different(table: pd.DataFrame, draws: Sequence[int | str]) -> None:
    """Raises CohortError where a draw of a number is that of all patients, and both are asked for."""
    everybody = table.loc[_drawn_from(table), "patient"].nunique()
    if everybody in draws and "all" in draws:
        raise CohortError(
            f"evidence.patients: {everybody} and all are the same patients, as only {everybody} are neither in val nor "
            "in test; leave one of them out"
        )


def draw_annotated(table: pd.DataFrame, annotated: int | str, seed: int, key: str = "split.annotated") -> pd.DataFrame:
    """Let so many of the training patients keep their CT, and the label maps of the others serve synthesis alone.

    The draws are nested: the patients of a smaller one are all in each larger one.

    Args:
        table: as :func:`split_patients` gives it, or an earlier draw, whose patients are all drawn from.
        annotated: patients, or ``all`` that there are.
        seed: of the draw.
        key: of the config, for the message.

    Returns:
        The table with split ``labels_only`` for the scans of the others.

    Raises:
        CohortError: there are not so many.
    """
    pool = _drawn_from(table)
    patients = _ranked(sorted(set(table.loc[pool, "patient"])), f"annotated {seed}")
    wanted = len(patients) if annotated == "all" else int(annotated)
    if wanted > len(patients):
        raise CohortError(
            f"{key}: {wanted} annotated patients are asked for, but only {len(patients)} are neither in "
            "val nor in test; lower it, or lower split.test and split.val"
        )
    keep = set(patients[:wanted])
    drawn = table.copy()
    drawn.loc[pool, "split"] = ["train" if patient in keep else LABELS_ONLY for patient in table.loc[pool, "patient"]]
    return drawn


def add_label_maps(table: pd.DataFrame, persons: Mapping[str, str]) -> pd.DataFrame:
    """The split with the subjects that have labels and no CT.

    Args:
        table: as :func:`split_patients` gives it.
        persons: subject without CT -> the person it is of; those of persons of val and test are left out.
    """
    held_out = set(table.loc[table["split"].isin(("val", "test")), "patient"])
    rows = [
        {"subject": subject, "patient": person, "split": LABELS_ONLY, "source": WITHOUT_CT}
        for subject, person in sorted(persons.items())
        if person not in held_out
    ]
    return pd.concat([table, pd.DataFrame(rows, columns=table.columns)], ignore_index=True)


def volume_sources(split: Mapping[str, str], wanted: str, count: int) -> list[str]:
    """The subjects whose labels become whole synthetic volumes, by name.

    Args:
        split: subject -> split.
        wanted: ``train`` (training patients) or ``labels_only`` (subjects whose labels alone serve).
        count: how many, at most.

    Raises:
        CohortError: the data set holds no such subject, or none is wanted.
    """
    if count == 0:
        raise CohortError("synthesis.volumes is 0, but volumes are asked for; set it to 1 or more")
    names = sorted(subject for subject, part in split.items() if part == wanted)
    if not names:
        raise CohortError(
            f"synthesis.volumes_from: {wanted}, but no subject is of that kind (found in the split: "
            f"{', '.join(sorted(set(split.values())))}); set it to train, or add subjects with labels alone, of other "
            "persons than those of val and test, or lower split.annotated"
        )
    return names[:count]


def patients_wanted(share: float, total: int) -> int:
    """A number of patients: a share below 1 of all, or the number itself."""
    return max(1, round(share * total)) if 0 < share < 1 else int(share)


def split_table(path: Path) -> pd.DataFrame:
    """The split as :func:`split_patients` made it: columns ``subject, patient, split, source``.

    Raises:
        StateError: a scan that is listed twice, a person in two splits, or a split of another name.
    """
    table = read_patient_csv(path)
    doubled = table.loc[table["subject"].duplicated(), "subject"]
    if len(doubled):
        raise StateError(f"{path}: scan {doubled.iloc[0]!r} is listed more than once")
    known = (*SPLITS, LABELS_ONLY)
    wrong = table.loc[~table["split"].isin(known), "split"]
    if len(wrong):
        raise StateError(f"{path}: found split {wrong.iloc[0]!r}, expected one of {', '.join(known)}")
    # label maps of a training patient may serve beside his or her other scans
    parts = table[table["split"] != LABELS_ONLY].groupby("patient")["split"].nunique()
    held_out = table.loc[table["split"].isin(("val", "test")), "patient"]
    labels_of = table.loc[(table["split"] == LABELS_ONLY) & table["patient"].isin(held_out), "subject"]
    if len(labels_of):
        raise StateError(f"{path}: the label map {labels_of.iloc[0]} is of a person of val or test")
    if (parts > 1).any():
        scans = table[table["patient"] == parts.idxmax()]
        named = ", ".join(f"{row.subject} in {row.split}" for row in scans.itertuples())
        raise StateError(f"{path}: scans of one person are in several splits: {named}; run the workflow again")
    return table


def read_split(path: Path) -> dict[str, str]:
    """Scan -> split, from a table where no person is in two (:func:`split_table`)."""
    table = split_table(path)
    return dict(zip(table["subject"], table["split"], strict=True))


def require_split(subjects, split: dict[str, str], allowed: tuple[str, ...], purpose: str) -> None:
    """Assert that every scan that is used belongs to a split it may come from, and with it its person.

    Args:
        subjects: the scans.
        split: as :func:`read_split` gives it, scan -> split.
        allowed: splits.
        purpose: what they are used for, for the message.

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
