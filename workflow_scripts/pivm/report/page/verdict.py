"""The one sentence on top of the page, made from the numbers of Tables 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence

from pivm.evaluation.pairs import PairedDifference
from pivm.evaluation.sentences import signed
from pivm.evaluation.statistics import MetricSummary
from pivm.report.forms import method_title
from pivm.report.page.facts import PageRun
from pivm.report.page.tables import read_summaries

#: by which the verdict is given where the tables have it
DECISIVE = "dice"


def verdict(run: PageRun) -> dict:
    """What adding synthetic slices does, and how good they are alone.

    Returns:
        ``says``: ``better``, ``worse``, ``same`` (not told apart) or ``unknown`` (no test); ``text``, the sentence;
        ``alone``, one about segmenters of synthetic slices alone, empty where there is nothing to compare.
    """
    tables = run.results / "tables"
    table3, table2 = (
        _decisive(read_summaries(tables / f"{name}.csv", tables / f"{name}_differences.csv"))
        for name in ("table3", "table2")
    )
    says, text = added(table3, run)
    return {"says": says, "text": text, "alone": alone(table2, run)}


def _decisive(summaries: Sequence[MetricSummary]) -> MetricSummary:
    return next((one for one in summaries if one.metric.key == DECISIVE), summaries[0])


def added(table: MetricSummary, run: PageRun) -> tuple[str, str]:
    """What the numbers of Table 3 say of adding synthetic slices to the original ones."""
    metric, name = table.metric, method_title(run.generated)
    pair = _pair(table, "combined", "original")
    if pair is None or pair.p_holm is None:
        return "unknown", "Too few patients or trainings for a statement on whether synthetic slices help."
    sign = 1 if pair.method == "combined" else -1
    change = sign * pair.difference.mean
    low, high = (signed(metric, sign * (end or 0.0)) for end in (pair.difference.low, pair.difference.high)[::sign])
    numbers = (
        f"{metric.title} {metric.shown(table.means['combined'].mean)} against "
        f"{metric.shown(table.means['original'].mean)}, difference {signed(metric, change)} [{low}, {high}], "
        f"{pair.difference.patients} held-out {'phantom patients' if run.procedural else 'patients'}"
    )
    kind = "phantom" if run.procedural else "real"
    if pair.p_holm > 1 - run.level:
        start = f"No effect shown: a segmenter that also learns from the synthetic slices of {name}"
        return "same", f"{start} is not told apart from one of {kind} slices alone ({numbers})."
    better = (change > 0) == (metric.better == "higher")
    start = f"{'Synthetic slices help' if better else 'Synthetic slices harm'}: a segmenter that also learns from those"
    return ("better" if better else "worse"), (
        f"{start} of {name} is {'better' if better else 'worse'} than one of {kind} slices alone ({numbers})."
    )


def alone(table: MetricSummary, run: PageRun) -> str:
    """How segmenters that saw nothing but the slices of the generator compare with those of the other generators."""
    metric, mine = table.metric, table.means.get(run.generated)
    others = [m for m in table.means if m != run.generated]
    if mine is None or not others:
        return ""
    said = {"better than": [], "worse than": [], "not told apart from": [], "not tested against": []}
    for other in others:
        shown = f"{method_title(other)} ({metric.shown(table.means[other].mean)})"
        said[_relation(_pair(table, run.generated, other), table, run)].append(shown)
    parts = [f"{relation} {_list(names)}" for relation, names in said.items() if names]
    return (
        f"Trained on synthetic slices alone, those of {method_title(run.generated)} give {metric.title} "
        f"{metric.shown(mine.mean)}: {'; '.join(parts)}."
    )


def _relation(pair: PairedDifference | None, table: MetricSummary, run: PageRun) -> str:
    if pair is None or pair.p_holm is None:
        return "not tested against"
    if pair.p_holm > 1 - run.level:
        return "not told apart from"
    better = (pair.difference.mean > 0) == (table.metric.better == "higher")
    return "better than" if better == (pair.method == run.generated) else "worse than"


def _pair(table: MetricSummary, one: str, other: str) -> PairedDifference | None:
    """The pair of two methods, whichever of them the difference was taken from; pairs are later less earlier."""
    return next((pair for pair in table.pairs if {pair.method, pair.reference} == {one, other}), None)


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
