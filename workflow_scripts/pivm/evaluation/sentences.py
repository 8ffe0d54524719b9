"""What holds of a table and what does not, in plain words made from the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pivm.evaluation.metrics import Metric
from pivm.evaluation.pairs import PairedDifference
from pivm.evaluation.statistics import MetricSummary

_NETWORKS = {"generator_seed": "generator", "segmenter_seed": "segmenter"}


def verdicts(summaries: Sequence[MetricSummary], level: float, title: Callable[[str], str]) -> list[str]:
    """Statements about a table: per metric the pairs that differ and those that do not, then what nobody knows.

    A difference holds where Holm's p, over all pairs of a metric, is at most ``1 - level``.

    Args:
        summaries: one per metric.
        level: of intervals and claims.
        title: heading of a method.
    """
    lines = [line for summary in summaries if (line := _of_metric(summary, level, title))]
    return [*lines, *_limits(summaries, level, title)]


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


def _of_metric(summary: MetricSummary, level: float, title: Callable[[str], str]) -> str:
    metric, tested = summary.metric, [pair for pair in summary.pairs if pair.p_holm is not None]
    if not tested:
        return ""
    holds = [_ordered(pair, metric, title) for pair in tested if _holds(pair, level)]
    ties = [
        f"{title(pair.method)} and {title(pair.reference)} {_difference(pair, metric, 1)}"
        for pair in tested
        if not _holds(pair, level)
    ]
    text = f"{metric.title}, at {_percent(level)}:"
    if holds:
        text += f" {'; '.join(holds)}."
    if ties:
        text += f" Not told apart: {'; '.join(ties)}."
    return text


def _ordered(pair: PairedDifference, metric: Metric, title: Callable[[str], str]) -> str:
    """The better of two first, with its difference to the other."""
    better_first = (pair.difference.mean > 0) == (metric.better == "higher")
    names = (pair.method, pair.reference) if better_first else (pair.reference, pair.method)
    numbers = _difference(pair, metric, 1 if better_first else -1)
    return f"{title(names[0])} better than {title(names[1])} {numbers}"


def _difference(pair: PairedDifference, metric: Metric, sign: int) -> str:
    mean = pair.difference
    low, high = sorted((sign * (mean.low or 0.0), sign * (mean.high or 0.0)))
    ends = ", ".join(signed(metric, end) for end in (low, high))
    return f"({signed(metric, sign * mean.mean)} [{ends}])"


def signed(metric: Metric, value: float) -> str:
    """A difference as the tables show it, with its sign and without ``-0.00``."""
    text = f"{metric.factor * value:+.{metric.digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def _limits(summaries: Sequence[MetricSummary], level: float, title: Callable[[str], str]) -> list[str]:
    """What the intervals do not cover, one sentence per reason."""
    found = []
    means = [(method, mean) for summary in summaries for method, mean in summary.means.items()]
    few = dict.fromkeys(title(method) for method, mean in means if mean.low is None)
    if few:
        found.append(f"{_list(list(few))}: one patient gives no interval and no test.")
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
