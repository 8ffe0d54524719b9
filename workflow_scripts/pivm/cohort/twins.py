"""Scans that hold the same voxels under several names: a copy, or one scan in two archives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from pivm.cohort.record import SubjectRecord


def hu_hash(hu: np.ndarray) -> str:
    """Hash of the voxels of a CT alone: copies have it in common, whatever their names and their headers say.

    It is made of the sums over all planes along each axis, which no change of the axes' order or direction changes, and
    which two scans with noise do not share.

    Args:
        hu: int16 [R, A, S].
    """
    sums = [np.zeros(n, np.int64) for n in hu.shape]
    for k in range(hu.shape[2]):
        one = hu[:, :, k]
        along_r, along_a = one.sum(1, dtype=np.int64), one.sum(0, dtype=np.int64)
        sums[0] += along_r
        sums[1] += along_a
        sums[2][k] = along_r.sum()
    # little endian on every machine; the smaller of an axis and its mirror image
    axes = [min(profile.astype("<i8").tobytes(), profile[::-1].astype("<i8").tobytes()) for profile in sums]
    digest = hashlib.sha256()
    for axis in sorted(axes, key=lambda content: (len(content), content)):
        digest.update(f"{len(axis)}\0".encode() + axis)
    return digest.hexdigest()[:20]


def twins(records: Iterable[SubjectRecord]) -> list[tuple[str, ...]]:
    """The scans that hold the same voxels.

    Args:
        records: of the scans; those without a hash, which were set aside unread or have no CT, have no twin.

    Returns:
        Names of each group of two or more, sorted, the groups by their first name.
    """
    groups: dict[str, list[str]] = {}
    for record in records:
        if record.hu_hash:
            groups.setdefault(record.hu_hash, []).append(record.subject)
    return sorted(tuple(sorted(names)) for names in groups.values() if len(names) > 1)
