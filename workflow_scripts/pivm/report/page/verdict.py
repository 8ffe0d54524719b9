"""The verdict on top of the page, made from the numbers of Tables 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence

from pivm.evaluation.sentences import Difference, differences_to
from pivm.evaluation.statistics import MetricSummary
from pivm.report.forms import method_title
from pivm.report.page.facts import PageRun
from pivm.report.page.tables import read_summaries
from pivm.report.verdict import METRIC
from pivm.report.verdict import verdict as sentence


def verdict(run: PageRun) -> dict:
    """What adding synthetic slices does, and how good they are alone.

    Returns:
        ``text``, the sentence that the run ends with; ``says``: ``better``, ``worse``, ``same`` (not told apart) or
        ``unknown`` (no test); ``alone``, one about segmenters of synthetic slices alone, empty where there is nothing
        to compare.
    """
    tables = run.results / "tables"
    table3, table2 = (
        _decisive(read_summaries(tables / f"{name}.csv", tables / f"{name}_differences.csv"))
        for name in ("table3", "table2")
    )
    text = sentence(tables, run.generated, run.level, run.words)
    unknown = "The scores allow no statement on whether synthetic slices help."
    return {"says": added(table3, run.level), "text": text or unknown, "alone": alone(table2, run)}


def _decisive(summaries: Sequence[MetricSummary]) -> MetricSummary:
    return next((one for one in summaries if one.metric.key == METRIC), summaries[0])


def added(table: MetricSummary, level: float) -> str:
    """What the numbers of Table 3 say of adding synthetic slices, in one word."""
    one = differences_to(table, "original", level).get("combined")
    if one is None or one.low is None:
        return "unknown"
    if not one.told_apart:
        return "same"
    return "better" if one.better else "worse"


def alone(table: MetricSummary, run: PageRun) -> str:
    """How segmenters that saw nothing but the slices of the generator compare with those of the other generators."""
    metric, mine = table.metric, table.means.get(run.generated)
    others = [m for m in table.means if m != run.generated]
    if mine is None or not others:
        return ""
    said = {"better than": [], "worse than": [], "not told apart from": [], "not tested against": []}
    differences = differences_to(table, run.generated, run.level)
    for other in others:
        shown = f"{method_title(other)} ({metric.shown(table.means[other].mean)})"
        said[_relation(differences.get(other))].append(shown)
    parts = [f"{relation} {_list(names)}" for relation, names in said.items() if names]
    return (
        f"Trained on synthetic slices alone, those of {method_title(run.generated)} give {metric.title} "
        f"{metric.shown(mine.mean)}: {'; '.join(parts)}."
    )


def _relation(other: Difference | None) -> str:
    """Of the generator to another one, whose difference to it is given."""
    if other is None or other.low is None:
        return "not tested against"
    if not other.told_apart:
        return "not told apart from"
    return "worse than" if other.better else "better than"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
