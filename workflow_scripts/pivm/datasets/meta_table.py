"""``meta.csv`` as people send it: other delimiters, capitals and words for the parts of a split."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pivm.datasets.listing import MISSING, person_key, printable
from pivm.errors import DataError
from pivm.scans.files import short

#: the column of the subjects
NAME = "image_id"
#: what the parts of a split are called elsewhere, in small letters
_PARTS = {
    **dict.fromkeys(("train", "training", "tr", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "va", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "ts", "te"), "test"),
}


class Meta(NamedTuple):
    """What ``meta.csv`` says of the subjects of a folder or zip.

    Attributes:
        split: subject -> split, where the column says one.
        persons: subject -> hash of the patient's ID, where the column ``patient`` says one.
    """

    split: dict[str, str]
    persons: dict[str, str]


def read_meta(content: bytes, path: Path | str) -> Meta:
    """The columns ``split`` and ``patient`` of ``meta.csv``; both are optional.

    Raises:
        DataError: as :func:`read_rows`.
    """
    rows = read_rows(content, path, ("split", "patient"))
    return Meta(
        {row[NAME]: part_of_split(row["split"]) for row in rows if row["split"]},
        {row[NAME]: key for row in rows if (key := person_key(row["patient"], MISSING))},
    )


def read_rows(content: bytes, path: Path | str, wanted: Sequence[str]) -> list[dict[str, str]]:
    """The rows of ``meta.csv`` that name a subject, each once.

    Args:
        content: of the file.
        path: for messages.
        wanted: the columns that say something about a subject; they are found whatever their capitals.

    Returns:
        Column -> text without spaces around it, of ``image_id`` and the wanted columns; empty where a row has none.

    Raises:
        DataError: no table in UTF-8; a wanted column, but no column that names the subjects; or a subject that is
            listed twice.
    """
    try:
        text = content.decode("utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(";,\t", key=first.count)  # of two that are as frequent the first one
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
        columns = {name.strip().casefold(): name for name in reader.fieldnames or () if name}
        rows = list(reader)
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a readable table ({short(error)}), expected image_id;split in UTF-8") from None
    found = [name for name in wanted if name in columns]
    if not found:
        return []
    if NAME not in columns:
        raise DataError(
            f"{path}: has a column {columns[found[0]]!r}, but none {NAME!r} that says of which subject (found "
            f"{', '.join(printable(name) for name in columns.values())}); name the column of the subjects {NAME}"
        )
    cells = [{name: str(row.get(columns[name]) or "").strip() for name in (NAME, *found)} for row in rows]
    named = [dict.fromkeys(wanted, "") | row for row in cells if row[NAME]]
    for subject, times in Counter(row[NAME] for row in named).items():
        if times > 1:
            raise DataError(f"{path}: subject {printable(subject)!r} is listed {times} times")
    return named


def part_of_split(text: str) -> str:
    """``train``, ``val`` or ``test`` for a word that means it, else the word itself.

    >>> part_of_split("Training"), part_of_split("VAL"), part_of_split("fold 1")
    ('train', 'val', 'fold 1')
    """
    return _PARTS.get(text.casefold(), text)
