"""The split that a data set brings along, held against the scans that are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pivm.errors import CohortError


def require_fitting(scans: Iterable[str], own_split: Mapping[str, str]) -> None:
    """Find out that a data set's own split is of other names, before a random one is drawn in its place.

    Args:
        scans: names of the scans.
        own_split: name -> split, as the data set says.

    Raises:
        CohortError: it names some scans, but none of these.
    """
    names = sorted(scans)
    if not names or not own_split or any(name in own_split for name in names):
        return
    theirs = sorted(own_split)
    zeros = {name.lstrip("0") for name in names} & {name.lstrip("0") for name in theirs}
    hint = "; leading zeros got lost, as spreadsheets lose them" if zeros else ""
    raise CohortError(
        f"split: the data set's own split (meta.csv) names {len(theirs)} scans, first {theirs[0]!r}, but none of the "
        f"{len(names)} that are there, first {names[0]!r}{hint}; correct its column image_id, or set split.source: "
        "random"
    )
