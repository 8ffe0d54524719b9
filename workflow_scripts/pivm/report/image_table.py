"""Table 1 in the paper's shape: a row per patient, every metric of all generators side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from pivm.evaluation.crossed import CrossedMean
from pivm.evaluation.image_metrics import with_companions
from pivm.evaluation.image_summary import ImageTable
from pivm.evaluation.metrics import ImageMetric, Metric, PatientMetric, PooledMetric
from pivm.evaluation.sentences import leaders
from pivm.evaluation.statistics import MetricSummary
from pivm.report.forms import caption, method_title, write_forms
from pivm.report.method_table import counts, difference_cells, difference_heading, intervals_note, statements
from pivm.report.words import TableFacts, Words


def write_image_table(
    table: ImageTable, shown: Sequence[ImageMetric], window: tuple[float, float], facts: TableFacts, outputs
) -> None:
    """Write Table 1 in all four forms.

    Args:
        table: what it shows.
        shown: its columns.
        window: HU range that metrics see.
        facts: what its words depend on.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    summary = table.summary
    notes = [
        f"{caption('table1', facts.words)}. {counts(summary, facts.words)} {intervals_note(facts, 'table1')}"
        f"{facts.weights}",
        footnote(table, shown, window, facts.words),
        *statements(summary, facts),
    ]
    write_forms(summary.tidy, partial(paper_shape, table, shown, facts), notes, "table1", outputs)


def paper_shape(
    table: ImageTable, shown: Sequence[ImageMetric], facts: TableFacts, bold: str, arrows: dict[str, str]
) -> pd.DataFrame:
    """Patients and what they say together as rows; (metric, method) as columns.

    The last rows are the mean ± standard deviation, its interval, and the difference to the reference. A patient's
    values are means over trainings. A metric of all patients together has values in the last rows alone.

    Args:
        table: what is shown.
        shown: the metrics, in their order.
        facts: what its words depend on.
        bold: format of the best means and those not told apart from them.
        arrows: by direction.
    """
    summary, patients = table.summary, list(dict.fromkeys(table.cases["patient"]))
    columns = {}
    summaries = {one.metric.key: one for one in summary.metrics}
    for metric in shown:
        one = summaries[metric.key]
        best = leaders(one, facts.level)
        differences = difference_cells(one, summary.methods, facts)
        for method, difference in zip(summary.methods, differences, strict=True):
            of_method = table.cases[table.cases["method"] == method]
            values = pd.Series(index=patients, dtype=float)
            if isinstance(metric, PatientMetric):
                values = of_method.groupby("patient")[metric.key].mean().reindex(patients)
            cells = ["–" if pd.isna(value) else metric.shown(value) for value in values]
            heading = (f"{metric.heading} {arrows[metric.better]}", method_title(method))
            means = _mean_cells(one.means.get(method), metric, bold if method in best else "%s")
            columns[heading] = [*cells, *means, difference]
    rows = ("Avg. ± sd", f"{100 * facts.level:g} % interval", difference_heading(facts))
    index = pd.Index([*map(str, range(1, len(patients) + 1)), *rows])
    shaped = pd.DataFrame(columns, index=index.rename("Patient"))
    shaped.columns = pd.MultiIndex.from_tuples(columns)
    return shaped


def _mean_cells(mean: CrossedMean | None, metric: Metric, style: str) -> list[str]:
    """Mean with its standard deviation over patients, and its interval."""
    if mean is None:
        return ["–", "–"]
    text = style % metric.shown(mean.mean)
    text += f" ± {metric.shown(mean.sd)}" if mean.sd is not None else ""
    return [text, _interval(mean, metric) or "–"]


def _interval(mean: CrossedMean, metric: Metric) -> str:
    if mean.low is None or mean.high is None:
        return ""
    return f"[{metric.shown(mean.low)}, {metric.shown(mean.high)}]"


def footnote(table: ImageTable, shown: Sequence[ImageMetric], window: tuple[float, float], words: Words) -> str:
    """What the numbers are: window and data range, then every metric with its companions and the floor."""
    low, high = window
    patients = list(dict.fromkeys(table.cases["patient"]))
    slices = table.cases.groupby("patient", sort=False)["slices"].first()
    metrics = with_companions(shown)
    summaries = {one.metric.key: one for one in table.summary.metrics}
    floor = table.floor.set_index("metric")
    sentences = [
        f"Patients: {', '.join(patients)}; {_range(slices)} slices each.",
        f"HU are clipped to [{low:g}, {high:g}] and counted from {low:g}, data range {high - low:g}.",
        *(_patient_sentence(m, metrics, summaries, floor, words) for m in shown if isinstance(m, PatientMetric)),
        *(_pooled_sentence(m, summaries[m.key], floor, words) for m in metrics if isinstance(m, PooledMetric)),
        *(_left_out(one) for one in table.summary.metrics if one.patients_left_out),
    ]
    return " ".join(sentences)


def _patient_sentence(
    metric: ImageMetric,
    metrics: Sequence[ImageMetric],
    summaries: dict[str, MetricSummary],
    floor: pd.DataFrame,
    words: Words,
) -> str:
    """A metric per patient: what it is, its floor, and its companions per patient."""
    text = f"{metric.title}: {metric.note}"
    if metric.key in floor.index:
        real = floor.loc[metric.key]
        sd = f" ± {metric.shown(real['sd'])}" if pd.notna(real["sd"]) else ""
        text += (
            f"; {words.adjective} slices of each patient against as many of one training patient: "
            f"{metric.shown(real['mean'])}{sd}"
        )
    for companion in metrics:
        if companion.key in metric.companions and isinstance(companion, PatientMetric):
            means = summaries[companion.key].means
            values = ", ".join(f"{method_title(m)} {companion.shown(mean.mean)}" for m, mean in means.items())
            text += f"; {companion.note}: {values or 'none'}"
    return f"{text}."


def _pooled_sentence(metric: PooledMetric, summary: MetricSummary, floor: pd.DataFrame, words: Words) -> str:
    """A metric of all patients together: what it is, its value per method with its interval, and its floor."""
    values = [
        f"{method_title(m)} {metric.shown(mean.mean)} {_interval(mean, metric)}".strip()
        for m, mean in summary.means.items()
    ]
    text = f"{metric.note}, all patients together, jackknife over patients: {'; '.join(values)}"
    if metric.key in floor.index:
        shown = metric.shown(floor.loc[metric.key, "mean"])
        text += f"; {words.adjective} slices against those of training patients {shown}"
    return f"{text}."


def _left_out(summary: MetricSummary) -> str:
    return (
        f"{summary.metric.title} is not defined for {', '.join(summary.patients_left_out)}: left out in every column."
    )


def _range(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"
