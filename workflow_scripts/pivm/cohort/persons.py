"""Which scans are of one person: those with one patient's ID, and those that hold the same voxels."""

from __future__ import annotations

from collections.abc import Iterable

from pivm.cohort.record import SubjectRecord
from pivm.cohort.twins import twins


def persons(records: Iterable[SubjectRecord]) -> dict[str, str]:
    """The person of every scan, whatever became of the scan.

    Args:
        records: of all scans of the data set.

    Returns:
        Name of the scan -> name of the person, which is that of his or her first scan in alphabetical order, so that no
        patient's ID is in it. A scan that shares neither ID nor voxels with another one is a person of its own.

    >>> records = [SubjectRecord("c", patient="x"), SubjectRecord("a", patient="x"), SubjectRecord("b")]
    >>> persons(records)
    {'a': 'a', 'b': 'b', 'c': 'a'}
    """
    records = list(records)
    by_patient: dict[str, list[str]] = {}
    for record in records:
        if record.patient:
            by_patient.setdefault(record.patient, []).append(record.subject)
    first = {record.subject: record.subject for record in sorted(records, key=lambda r: r.subject)}
    for group in (*by_patient.values(), *twins(records)):
        united = {first[name] for name in group}
        if len(united) > 1:  # the group shows them to be one
            first |= {name: min(united) for name, person in first.items() if person in united}
    return first
