"""What the page has to know of a run beside its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pivm.datasets.listing import Subject
from pivm.errors import PivmError
from pivm.report.organ_colours import organ_colour
from pivm.report.words import Words


@dataclass(frozen=True)
class PageRun:
    """A run that a page is made of.

    Attributes:
        results: its folder, ``<results>/<dataset>``.
        dataset: name of the data set.
        procedural: whether its scans are made by a program, as those of the phantom are, and not of patients.
        generators: columns of Tables 1 and 2.
        generated: the generator behind ``generated`` and ``combined`` in Table 3.
        references: table -> the column that its others are held against.
        seed: of the first training of a generator, which pictures and volumes show.
        labels: names of the organs, in the order of their ids.
        level: of the intervals.
        subjects: where the scans lie.
    """

    results: Path
    dataset: str
    procedural: bool
    generators: Sequence[str]
    generated: str
    references: Mapping[str, str]
    seed: int
    labels: tuple[str, ...]
    level: float
    subjects: Mapping[str, Subject] = field(default_factory=dict)

    @property
    def words(self) -> Words:
        """What its scans are called."""
        return Words.of(self.procedural)

    @property
    def colours(self) -> dict[str, str]:
        """Organ -> colour, ``#rrggbb``, that of all figures."""
        return {name: organ_colour(name) for name in self.labels}


def section(make: Callable[[], Any], run: PageRun) -> Any:
    """What a section shows, or ``{"missing": why}`` where a file of the run is not there or cannot be used."""
    try:
        return make()
    except FileNotFoundError as error:
        path = Path(error.filename or str(error))
        name = path.relative_to(run.results) if path.is_relative_to(run.results) else path
        return {"missing": f"{name} is not there: this part of the run is not finished"}
    except PivmError as error:
        return {"missing": str(error)}
