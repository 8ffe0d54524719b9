"""Tables 2 and 3 and the ablation in the paper's shape: metrics as rows, methods as columns."""

from __future__ import annotations

from functools import partial

import pandas as pd

from pivm.evaluation.crossed import CrossedMean
from pivm.evaluation.metrics import Metric, SegmentationMetric
from pivm.evaluation.sentences import leaders, verdicts
from pivm.evaluation.statistics import MetricSummary, Summary
from pivm.report.forms import CAPTIONS, method_title, write_forms


def write_table(summary: Summary, table: str, level: float, weights: str, outputs) -> None:
    """Write Table 2 or 3 in all four forms.

    Args:
        summary: of the scores.
        table: ``table2`` or ``table3``.
        level: of the intervals.
        weights: as :func:`pivm.config.weights_note`.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    notes = [
        f"{CAPTIONS[table]}. {counts(summary)} {intervals_note(level)}{weights}",
        cases_note(summary),
        *verdicts(summary.metrics, level, method_title),
    ]
    write_forms(summary.tidy, partial(paper_shape, summary, level), notes, table, outputs)


def paper_shape(summary: Summary, level: float, bold: str, arrows: dict[str, str]) -> pd.DataFrame:
    """Metrics as rows, methods as columns, ``mean [interval]``.

    Bold are the best mean of a row and those that are not told apart from it, unless that is all of them.

    Args:
        summary: what is shown.
        level: of the intervals.
        bold: format of the best values.
        arrows: by direction.
    """
    rows = {}
    for one in summary.metrics:
        best = leaders(one, level)
        cells = [cell(one.means.get(m), one.metric, bold if m in best else "%s") for m in summary.methods]
        rows[f"{one.metric.heading} {arrows[one.metric.better]}"] = cells
    return pd.DataFrame.from_dict(rows, orient="index", columns=[method_title(m) for m in summary.methods])


def cell(mean: CrossedMean | None, metric: Metric, style: str) -> str:
    """``mean [interval]``; a dash where there is none."""
    if mean is None:
        return "–"
    text = style % metric.shown(mean.mean)
    if mean.low is None or mean.high is None:
        return text
    return f"{text} [{metric.shown(mean.low)}, {metric.shown(mean.high)}]"


def counts(summary: Summary) -> str:
    """Patients and seeds behind a table, in one sentence."""
    means = [mean for one in summary.metrics for mean in one.means.values()]
    text = f"{_number([m.patients for m in means], 'held-out patient')}"
    for kind in ("generator", "segmenter"):
        seeds = [getattr(mean, f"{kind}_seeds") for mean in means]
        if any(seeds):
            text += f", {_number([count for count in seeds if count], f'{kind} seed')}"
    return f"{text}."


def _number(values: list[int], noun: str) -> str:
    low, high = (min(values), max(values)) if values else (0, 0)
    return f"{low if low == high else f'{low} to {high}'} {noun}{'' if high == 1 else 's'}"


def intervals_note(level: float) -> str:
    """What stands in brackets and in bold."""
    return (
        f"In brackets: {100 * level:g} % interval of the mean, over patients and seeds. Bold: the best mean and those "
        "not told apart from it after Holm's correction; nothing is bold where all tie."
    )


def cases_note(summary: Summary) -> str:
    """Which classes each metric is averaged over, and which share of them was left out as not scored in every run."""
    by_cases: dict[str, list[MetricSummary]] = {}
    for one in summary.metrics:
        if isinstance(one.metric, SegmentationMetric):
            by_cases.setdefault(one.metric.cases, []).append(one)
    sentences = []
    for cases, members in by_cases.items():
        text = f"{', '.join(one.metric.title for one in members)}: over {cases}"
        left_out = max(one.cases_left_out for one in members)
        if left_out > 0:
            text += (
                f", in every column and seed alike, which leaves out {100 * left_out:.1f} % of what any of them found"
            )
        sentences.append(f"{text}.")
    return f"Means over classes, then over patients. {' '.join(sentences)}"


def ablation_notes(summary: Summary, window: tuple[float, float], level: float) -> list[str]:
    """What stands below the table of the ablation.

    Args:
        summary: what the table shows.
        window: HU range of SSIM and errors.
        level: of the intervals.
    """
    low, high = window
    return [
        f"{CAPTIONS['ablation']}. {counts(summary)} HU from {low} to {high}. {intervals_note(level)} Errors: mean "
        "absolute difference of one synthetic slice to the real one, over the pixels of the region.",
        *verdicts(summary.metrics, level, method_title),
    ]
