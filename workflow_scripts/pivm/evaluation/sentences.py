"""What holds of a table and what does not, in plain words made from the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pivm.evaluation.metrics import Metric
from pivm.evaluation.pairs import PairedDifference
from pivm.evaluation.statistics import MetricSummary

_NETWORKS = {"generator_seed": "generator", "segmenter_seed": "segmenter"}


class Difference(NamedTuple):
    """A method less the reference.

    Attributes:
        mean: of the difference.
        low: end of its interval, at the level of one pair alone; None for one patient.
        high: likewise.
        told_apart: whether it holds after Holm's correction over all pairs of the metric.
        better: whether the method is the better one.
    """

    mean: float
    low: float | None
    high: float | None
    told_apart: bool
    better: bool


def differences_to(summary: MetricSummary, reference: str, level: float) -> dict[str, Difference]:
    """Every other method less the reference.

    Args:
        summary: of one metric.
        reference: a method of it.
        level: of the claim.
    """
    found = {}
    for pair in summary.pairs:
        if reference not in (pair.method, pair.reference):
            continue
        sign = 1 if pair.reference == reference else -1
        mean, low, high = sign * pair.difference.mean, pair.difference.low, pair.difference.high
        if low is not None and high is not None:
            low, high = sorted((sign * low, sign * high))
        better = (mean > 0) == (summary.metric.better == "higher")
        other = pair.method if sign == 1 else pair.reference
        found[other] = Difference(mean, low, high, _holds(pair, level), better)
    return found


def verdicts(
    summaries: Sequence[MetricSummary], level: float, title: Callable[[str], str], reference: str, *, baseline: bool
) -> list[str]:
    """Statements about a table: per method in which metrics it and the reference differ, then what nobody knows.

    A difference holds where Holm's p, over all pairs of a metric, is at most ``1 - level``. The other pairs stand in
    the table of differences.

    Args:
        summaries: one per metric.
        level: of intervals and claims.
        title: heading of a method.
        reference: the method that the others are held against.
        baseline: whether the others speak against the reference, or it against them.
    """
    differences = {summary.metric.title: differences_to(summary, reference, level) for summary in summaries}
    others = dict.fromkeys(method for summary in summaries for method in summary.means if method != reference)
    lines = [_against(other, reference, differences, title, baseline=baseline) for other in others]
    return [*filter(None, lines), *_limits(summaries, level, title)]


def _against(
    other: str,
    reference: str,
    differences: Mapping[str, Mapping[str, Difference]],
    title: Callable[[str], str],
    *,
    baseline: bool,
) -> str:
    """What holds of one method and the reference; nothing where no metric can be tested."""
    groups: dict[str, list[str]] = {"better in": [], "worse in": [], "not told apart in": []}
    for metric, of_metric in differences.items():
        if (one := of_metric.get(other)) is None or one.low is None:
            continue
        verdict = "better in" if one.better == baseline else "worse in"
        groups[verdict if one.told_apart else "not told apart in"].append(metric)
    said = "; ".join(f"{verdict} {_list(metrics)}" for verdict, metrics in groups.items() if metrics)
    names = (other, reference) if baseline else (reference, other)
    return f"{title(names[0])} against {title(names[1])}: {said.rstrip('.')}." if said else ""


def leaders(summary: MetricSummary, level: float) -> set[str]:
    """The methods to set in bold: the best mean and those that are not told apart from it; none where that is all.

    Args:
        summary: of one metric.
        level: as in :func:`verdicts`.
    """
    if not summary.means:
        return set()
    sign = 1 if summary.metric.better == "higher" else -1
    best = max(summary.means, key=lambda method: sign * summary.means[method].mean)
    told_apart = {
        pair.method if pair.reference == best else pair.reference
        for pair in summary.pairs
        if best in (pair.method, pair.reference) and _holds(pair, level)
    }
    return set(summary.means) - told_apart if told_apart else set()


def _holds(pair: PairedDifference, level: float) -> bool:
    return pair.p_holm is not None and pair.p_holm <= 1 - level


def signed(metric: Metric, value: float) -> str:
    """A difference as the tables show it, with its sign and without ``-0.00``."""
    text = f"{metric.factor * value:+.{metric.digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "segmenter seed"), counted(3, "segmenter seed"), counted(-1, "patient")
    ('1 segmenter seed', '3 segmenter seeds', '-1 patient')
    """
    return f"{number} {noun}{'' if abs(number) == 1 else 's'}"


def _limits(summaries: Sequence[MetricSummary], level: float, title: Callable[[str], str]) -> list[str]:
    """What the intervals do not cover, one sentence per reason."""
    found = []
    means = [(method, mean) for summary in summaries for method, mean in summary.means.items()]
    few = [s.metric.heading for s in summaries if any(mean.low is None for mean in s.means.values())]
    if few:
        found.append(f"{_list(few)}: one patient gives no interval and no test.")
    for source, network in _NETWORKS.items():
        once = dict.fromkeys(title(method) for method, mean in means if source in mean.unknown and mean.low is not None)
        if once:
            found.append(
                f"{_list(list(once))}: one training of the {network}; what is said at {_percent(level)} holds for new "
                "patients and that training, and how much another training would differ is not known."
            )
    return found


def _percent(level: float) -> str:
    return f"{100 * level:g} %"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
