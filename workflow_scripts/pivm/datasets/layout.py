"""What a layout of a data set consists of: the one entry that its module registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pivm.datasets.listing import Listing, Subject
from pivm.labels import LabelSet
from pivm.scans.label_maps import LabelMap, Policy
from pivm.scans.nifti import Grid, Volume, read_ct
from pivm.scans.quality import PADDING_HU


def read_nifti(subject: Subject) -> Volume:
    """The CT of a subject that lies in one NIfTI file; see :func:`pivm.scans.nifti.read_ct`."""
    return read_ct(subject.ct, PADDING_HU)


def watched_files(subject: Subject) -> list[str]:
    """The files of a subject that Snakemake watches, for scans that exist before the run."""
    return subject.inputs()


def nothing_to_check(key: str, settings: Any, known: tuple[str, ...]) -> None:
    """For a layout whose schema says all."""


class LabelNames(NamedTuple):
    """The labels of a subject by their names alone.

    Attributes:
        organs: label names of the run that it has.
        others: names, as the data set has them, that mean none of these.
        in_files: they stand inside a file, whose header was read for them; few subjects are looked at so.
    """

    organs: set[str]
    others: set[str]
    in_files: bool = False


def names_unknown(subject: Subject, organs: tuple[str, ...]) -> LabelNames | None:
    """For a layout whose names stand inside its files, which are not read before the first job."""
    return None


@dataclass(frozen=True)
class Layout:
    """How the scans of one kind of data set are found and read.

    A module or package of :mod:`pivm.datasets` that holds a ``LAYOUT`` of this class is a layout of the workflow.
    Importing it must be cheap: what reads files imports its libraries in the functions below.

    Attributes:
        name: value of ``layout`` in the config.
        settings: settings class (:func:`pivm.settings.setting`) of an entry of ``datasets``, without ``layout``; it
            has a key ``path``, and ``download`` where an archive can be fetched to it.
        list_subjects: (settings) -> the subjects. Names, sizes and tables are read, no scans.
        read_labels: (subject, label set, grid of the CT or None, policy) -> its label map.
        read_ct: (subject) -> its CT.
        check: (dotted path of the entry, settings, label names of the run) raises ConfigError for what the schema
            cannot say.
        watched: (subject) -> the files that a job depends on.
        label_names: (subject, label names of the run) -> what its labels are, from names of files, tables and headers;
            ``None`` where that takes reading scans.
        rules: file in ``rules/`` whose rules make the scans; empty where the scans exist before the run.
        procedural: the scans come from a program and show no patient, so that tables, figures and cards call them
            phantom and never real.
    """

    name: str
    settings: type
    list_subjects: Callable[[Any], Listing]
    read_labels: Callable[[Subject, LabelSet, Grid | None, Policy], LabelMap]
    read_ct: Callable[[Subject], Volume] = read_nifti
    check: Callable[[str, Any, tuple[str, ...]], None] = nothing_to_check
    watched: Callable[[Subject], list[str]] = watched_files
    label_names: Callable[[Subject, tuple[str, ...]], LabelNames | None] = names_unknown
    rules: str = ""
    procedural: bool = False

    @property
    def module(self) -> str:
        """The module that holds the entry, for :func:`pivm.provenance.code_hash.code_hash`."""
        return self.list_subjects.__module__
