# pyright: basic, reportOptionalOperand=false, reportArgumentType=false
# a pair that was tested has an interval and a p-value
"""What holds of a metric and what does not, in plain words made from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pivm.evaluation.crossed import CrossedMean
from pivm.evaluation.pairs import PairedDifference

_SEEDS = {"generator_seed": "generator", "segmenter_seed": "segmenter"}


@dataclass(frozen=True)
class MetricWords:
    """How a metric is written.

    Attributes:
        title: as in a table, for example ``Dice``.
        unit: ``mm`` or empty.
        better: which values are better.
        digits: decimals of its values.
    """

    title: str
    unit: str
    better: Literal["higher", "lower"]
    digits: int

    def value(self, number: float, sign: bool = False) -> str:
        """The number as in a table, without ``-0.00``; with a sign where asked for."""
        text = f"{number:+.{self.digits}f}" if sign else f"{number:.{self.digits}f}"
        return text.lstrip("+-") if float(text) == 0 else text


def sentences(
    metric: MetricWords, means: Mapping[str, CrossedMean], pairs: Sequence[PairedDifference], level: float
) -> list[str]:
    """Statements about a metric: first each pair that differs, then those that do not, then what is not known.

    A difference holds where Holm's p is below ``1 - level``.

    Args:
        metric: its words.
        means: by method, as it is to be named.
        pairs: of :func:`pivm.evaluation.pairs.compare_pairs`, over methods of ``means``.
        level: of intervals and claims.
    """
    tested = [pair for pair in pairs if pair.p_holm is not None]
    holds = [pair for pair in tested if pair.p_holm <= 1 - level]
    open_pairs = [pair for pair in tested if pair.p_holm > 1 - level]
    return [
        *(_difference_holds(metric, pair, len(tested)) for pair in holds),
        *(_difference_open(metric, pair, len(tested), level) for pair in open_pairs),
        *_limits(metric, means, level),
    ]


def _difference_holds(metric: MetricWords, pair: PairedDifference, pairs: int) -> str:
    better = (pair.difference.mean > 0) == (metric.better == "higher")
    return (
        f"{metric.title} of {pair.method} is {'better' if better else 'worse'} than that of {pair.reference}: "
        f"{_difference(metric, pair)}, {_p(pair, pairs)}."
    )


def _difference_open(metric: MetricWords, pair: PairedDifference, pairs: int, level: float) -> str:
    difference = pair.difference
    text = (
        f"{metric.title} of {pair.method} and {pair.reference}: no difference holds at {_percent(level)}: "
        f"{_difference(metric, pair)}, {_p(pair, pairs)}"
    )
    if difference.low > 0 or difference.high < 0:
        return f"{text}; alone this pair would differ, among {pairs} pairs that may be chance."
    return f"{text}; nor does equality, since a true difference anywhere in that interval fits the data."


def _limits(metric: MetricWords, means: Mapping[str, CrossedMean], level: float) -> list[str]:
    """What the intervals do not cover, one sentence per reason."""
    found = []
    few = [name for name, mean in means.items() if mean.low is None]
    if few:
        found.append(f"{metric.title} of {_list(few)}: one patient gives no interval.")
    for source, network in _SEEDS.items():
        once = [name for name, mean in means.items() if source in mean.unknown and mean.low is not None]
        if once:
            found.append(
                f"{metric.title} of {_list(once)} comes from one training of the {network}: at {_percent(level)} it "
                "holds for new patients and that training, and how much another training would differ is not known."
            )
    return found


def _difference(metric: MetricWords, pair: PairedDifference) -> str:
    mean = pair.difference
    unit = f" {metric.unit}" if metric.unit else ""
    low, high = (metric.value(end, sign=True) for end in (mean.low, mean.high))
    return f"{metric.value(mean.mean, sign=True)}{unit} ({low} to {high}), {mean.patients} patients"


def _p(pair: PairedDifference, pairs: int) -> str:
    p = "p < 0.001" if pair.p_holm < 0.001 else f"p = {pair.p_holm:.3f}"
    return p if pairs == 1 else f"{p} after Holm's correction for {pairs} pairs"


def _percent(level: float) -> str:
    return f"{100 * level:g} %"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
