"""Cross-validation folds of an exported data set, as nnU-Net reads them from ``splits_final.json``."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

MOST = 5
#: ``train`` and ``val``, names of cases
Fold = dict[str, list[str]]


def folds(persons: Mapping[str, str], synthetic: Collection[str], validation: Collection[str] = ()) -> list[Fold]:
    """Folds that validate on real scans alone, with no twin of them among the cases that train.

    With validation patients there is one fold, which trains on all others. Without any, persons are dealt out by a
    hash of their names. A synthetic case belongs to the person whose labels it was made from, and is left out of the
    folds that validate on that person.

    Args:
        persons: case -> the person it is of, or whose labels it was made from.
        synthetic: cases that are not real.
        validation: real cases of the validation patients of the run.

    Returns:
        One fold, or five, fewer where there are fewer persons with real scans; none where there are not two.
    """
    real = {case: person for case, person in persons.items() if case not in synthetic}
    ranked = sorted(set(real.values()), key=lambda person: hashlib.sha256(person.encode()).digest())
    number = min(MOST, len(ranked)) if len(ranked) > 1 else 0
    held_out = [set(ranked[k::number]) for k in range(number)]
    if validation:
        held_out = [{real[case] for case in validation}]
    return [
        {
            "train": sorted(case for case, person in persons.items() if person not in out),
            "val": sorted(case for case, person in real.items() if person in out),
        }
        for out in held_out
    ]


def label_sources(volumes: Path) -> dict[str, str]:
    """Synthetic volume -> the subject whose labels it was made from, by the ``meta.csv`` of a folder of volumes."""
    with open(volumes / "meta.csv", newline="", encoding="utf-8") as stream:
        return {row["image_id"]: row["source"] for row in csv.DictReader(stream, delimiter=";")}
