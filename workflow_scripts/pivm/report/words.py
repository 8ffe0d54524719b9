"""What tables, figures and cards say of the scans of a run: what a program drew is a phantom, and never real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Words(NamedTuple):
    """Names of the scans that a run compares with.

    Attributes:
        adjective: of their slices and values.
        ct: what one of them is, as the heading of a picture.
        patient: one of the patients.
        about: a clause behind the name of the data set; empty where there is nothing to say.
    """

    adjective: str
    ct: str
    patient: str
    about: str = ""

    @classmethod
    def of(cls, procedural: bool) -> Words:
        """Of a data set, as its layout has it (:class:`pivm.datasets.layout.Layout`)."""
        return PHANTOM if procedural else REAL

    @property
    def heading(self) -> str:
        """The adjective as the heading of a column."""
        return self.adjective.capitalize()


REAL = Words("real", "Real CT", "patient")
PHANTOM = Words("phantom", "Phantom CT", "phantom patient", ", a phantom (procedural CT of no patient)")


@dataclass(frozen=True)
class TableFacts:
    """What the words of a table depend on beside its numbers.

    Attributes:
        level: of the intervals.
        reference: the method that the others are held against.
        baseline: whether the others speak against the reference; else it is the method of interest, and speaks.
        words: of the scans.
        weights: as :func:`pivm.config.weights_note`.
    """

    level: float
    reference: str
    baseline: bool = False
    words: Words = REAL
    weights: str = ""
