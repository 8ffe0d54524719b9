"""What an adapter finds in a data set: its subjects, where each of them lies, and the folders it refuses."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pivm.errors import DataError

#: names that are safe as file names, wildcards and table cells
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

#: what stands for a patient's ID in a table where there is none
MISSING = frozenset(("", "na", "n/a", "nan", "none", "null", "unknown"))
#: and what anonymisers write for it
NOBODY = MISSING | frozenset(("0", "anon", "anonym", "anonymous", "anonymized", "anonymised"))


@dataclass(frozen=True)
class Subject:
    """Where one subject lies. Plain values alone, so that it can be a parameter of a rule.

    Attributes:
        layout: the adapter that reads it.
        ct: NIfTI file, member of a zip (``archive.zip::member``) or series folder; empty for labels without CT.
        labels: folder of masks, or one file that holds all labels; empty where there is none.
        ids: id in the label file -> organ name, for files that hold all labels.
        fault: why it cannot be used, known from the file names alone; empty for most.
        fingerprint: changes when a file changes that is read but not in :meth:`inputs`.
        person: hash of the patient it is a scan of (:func:`person_key`), where the data set says; empty for most.
        expected: where labels of its own were looked for, for messages.
    """

    layout: str
    ct: str = ""
    labels: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    fingerprint: str = ""
    person: str = ""
    expected: str = ""

    def inputs(self) -> list[str]:
        """The files that Snakemake watches: one or two per subject, whatever the number of masks."""
        files = {place.split("::")[0] for place in (self.ct, self.labels) if place}
        return sorted(f for f in files if os.path.isfile(f))

    def as_params(self) -> dict:
        """As values that Snakemake can hold as params."""
        return asdict(self)


@dataclass
class Listing:
    """The subjects of a data set.

    Attributes:
        subjects: name -> where it lies.
        refused: name -> reason, for what cannot be a subject.
        split: name -> the data set's own split, where it has one.
        files: files of the data set as a whole that a run waits for.
    """

    subjects: dict[str, Subject] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict, repr=False)

    def add(self, name: str, place: str, subject: Subject) -> None:
        """Take up a subject, or refuse it for its name.

        Raises:
            DataError: another subject has the same name, up to upper and lower case.
        """
        if not SAFE_NAME.fullmatch(name):
            self.refuse(name, "name holds other characters than letters, digits, '.', '_', '-'")
        elif name.casefold() in self._seen:
            raise DataError(f"two subjects are named {name!r}: {self._seen[name.casefold()]} and {place}")
        else:
            self._seen[name.casefold()] = place
            self.subjects[name] = subject

    def refuse(self, name: str, reason: str) -> None:
        """Note a folder or file that is no subject, with the reason."""
        self.refused[printable(name)] = reason


def person_key(patient: str, nobody: frozenset[str] = NOBODY) -> str:
    """A hash of a patient's ID, so that no output names it; empty for IDs that name nobody.

    Args:
        patient: PatientID, or the column ``patient`` of ``meta.csv``.
        nobody: IDs that name nobody, in small letters.
    """
    plain = patient.strip().casefold()
    if plain in nobody:
        return ""
    return hashlib.sha256(f"patient\0{plain}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


def printable(name: str, length: int = 100) -> str:
    """A text from the data in ASCII, cut to a length."""
    return name.encode("ascii", "backslashreplace").decode()[:length]


def writable(text: str) -> str:
    """A text that UTF-8 can hold: the names of files may be bytes of other encodings."""
    return text.encode("utf-8", "backslashreplace").decode()


def require_folder(root: Path) -> None:
    """Raises DataError where ``root`` is no folder that can be read."""
    if root.is_file():
        raise DataError(f"{root}: a file, but this layout reads a folder; unpack it and set datasets.<name>.path to it")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set datasets.<name>.path to the folder that holds the scans")
    if not os.access(root, os.R_OK | os.X_OK):
        raise DataError(f"{root}: no permission to read this folder")


def file_facts(entries: Iterable[os.DirEntry | Path]) -> str:
    """A hash of names, sizes and times of files; nothing is read."""
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda e: e.name):
        facts = entry.stat()
        # names may hold bytes that are no UTF-8
        digest.update(os.fsencode(entry.name) + f"\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:20]
