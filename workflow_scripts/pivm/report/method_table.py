"""Tables 2 and 3 and the ablation in the paper's shape: metrics as rows, methods as columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from pivm.evaluation.crossed import CrossedMean
from pivm.evaluation.metrics import Metric, SegmentationMetric
from pivm.evaluation.organ_shares import LARGE, organ_shares
from pivm.evaluation.sentences import counted, differences_to, leaders, signed, verdicts
from pivm.evaluation.statistics import MetricSummary, Summary
from pivm.report.forms import caption, method_title, write_forms
from pivm.report.words import TableFacts, Words

#: a large organ that is found less than this well in synthetic slices is named
LOW_SHARE = 0.85


def write_table(summary: Summary, table: str, facts: TableFacts, outputs, more_notes: Sequence[str] = ()) -> None:
    """Write Table 2 or 3, or another of segmentation scores, in all four forms.

    Args:
        summary: of the scores.
        table: its key, as in :func:`pivm.report.forms.caption`.
        facts: what its words depend on.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``, and ``differences``.
        more_notes: of this table alone, a paragraph each.
    """
    notes = [
        f"{caption(table, facts.words)}. {counts(summary, facts.words)} {intervals_note(facts, table)}{facts.weights}",
        *more_notes,
        cases_note(summary),
        *statements(summary, facts),
    ]
    write_forms(summary.tidy, partial(paper_shape, summary, facts), notes, table, outputs)


def statements(summary: Summary, facts: TableFacts) -> list[str]:
    """What holds of the reference and every other method, and what is not known."""
    return verdicts(summary.metrics, facts.level, method_title, facts.reference, baseline=facts.baseline)


def paper_shape(summary: Summary, facts: TableFacts, bold: str, arrows: dict[str, str]) -> pd.DataFrame:
    """Two rows per metric: ``mean [interval]`` of each method, and its difference to the reference.

    Bold are the best mean of a row and those that are not told apart from it, unless that is all of them.

    Args:
        summary: what is shown.
        facts: what its words depend on.
        bold: format of the best values.
        arrows: by direction.
    """
    index, rows = [], []
    for one in summary.metrics:
        best = leaders(one, facts.level)
        index.append(f"{one.metric.heading} {arrows[one.metric.better]}")
        rows.append([cell(one.means.get(m), one.metric, bold if m in best else "%s") for m in summary.methods])
        if one.pairs:
            index.append(difference_heading(facts))
            rows.append(difference_cells(one, summary.methods, facts))
    return pd.DataFrame(rows, index=pd.Index(index), columns=[method_title(m) for m in summary.methods])


def difference_heading(facts: TableFacts) -> str:
    """Of the rows of differences."""
    return f"difference to {method_title(facts.reference)}"


def difference_cells(summary: MetricSummary, methods: Sequence[str], facts: TableFacts) -> list[str]:
    """Each method less the reference, ``+0.1 [0.0, +0.2]``, with a star where the two are told apart."""
    found, metric = differences_to(summary, facts.reference, facts.level), summary.metric
    cells = []
    for method in methods:
        if (one := found.get(method)) is None:
            cells.append("–")
            continue
        ends = (
            "" if one.low is None or one.high is None else f" [{signed(metric, one.low)}, {signed(metric, one.high)}]"
        )
        cells.append(f"{signed(metric, one.mean)}{ends}{' *' if one.told_apart else ''}")
    return cells


def cell(mean: CrossedMean | None, metric: Metric, style: str) -> str:
    """``mean [interval]``; a dash where there is none."""
    if mean is None:
        return "–"
    text = style % metric.shown(mean.mean)
    if mean.low is None or mean.high is None:
        return text
    return f"{text} [{metric.shown(mean.low)}, {metric.shown(mean.high)}]"


def counts(summary: Summary, words: Words) -> str:
    """Patients and seeds behind a table, in one sentence."""
    means = [mean for one in summary.metrics for mean in one.means.values()]
    text = f"{_number([m.patients for m in means], f'held-out {words.patient}')}"
    for kind in ("generator", "segmenter"):
        seeds = [getattr(mean, f"{kind}_seeds") for mean in means]
        if any(seeds):
            text += f", {_number([count for count in seeds if count], f'{kind} seed')}"
    return f"{text}."


def _number(values: list[int], noun: str) -> str:
    low, high = (min(values), max(values)) if values else (0, 0)
    return f"{'' if low == high else f'{low} to '}{counted(high, noun)}"


def intervals_note(facts: TableFacts, table: str) -> str:
    """What stands in brackets, in bold and in the rows of differences."""
    return (
        f"In brackets: {100 * facts.level:g} % interval of the mean, over patients and seeds. Bold: the best mean and "
        "those not told apart from it after Holm's correction; nothing is bold where all tie. Differences are paired "
        "over the patients and seeds that both have, so they need not be those of the means, with the interval of one "
        "pair; a star marks those that hold after Holm's correction "
        f"over all pairs of the row, which are in `{table}_differences.csv`."
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


def agreement_note(cases: pd.DataFrame, words: Words) -> str:
    """How much of what is found in original slices is found in synthetic ones, and the large organs that are not.

    Args:
        cases: of all methods (:func:`pivm.evaluation.organ_shares.organ_shares`).
        words: of the scans.
    """
    shares = organ_shares(cases)
    if shares.empty:
        return f"The segmenters find no organ in {words.adjective} slices, so that nothing is said of synthetic ones."
    large = shares[shares["pixels"] >= LARGE]
    texts = []
    for method in shares.columns.drop("pixels"):
        low = large[large[method] < LOW_SHARE].sort_values(method)[method]
        named = ", ".join(f"{organ.replace('_', ' ')} {share:.2f}" for organ, share in low.items())
        texts.append(f"{method_title(method)} {shares[method].mean():.3f} ({named or 'none'})")
    return (
        f"Dice of each organ as a share of that in {words.adjective} slices, mean over {len(shares)} organs; in "
        f"brackets those below {LOW_SHARE} among the {len(large)} organs of {LARGE} pixels and more in a slice that "
        f"shows them: {'; '.join(texts)}."
    )


def ablation_notes(summary: Summary, window: tuple[float, float], facts: TableFacts) -> list[str]:
    """What stands below the table of the ablation.

    Args:
        summary: what the table shows.
        window: HU range of SSIM and errors.
        facts: what its words depend on.
    """
    low, high = window
    return [
        f"{caption('ablation', facts.words)}. {counts(summary, facts.words)} HU from {low} to {high}. "
        f"{intervals_note(facts, 'ablation')} Errors: mean absolute difference of one synthetic slice to the "
        f"{facts.words.adjective} one, over the pixels of the region.",
        *statements(summary, facts),
    ]
