"""Table 1 in the paper's shape: a row per patient, every metric of all generators side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from pivm.evaluation.image_metrics import with_companions
from pivm.evaluation.image_summary import ImageTable
from pivm.evaluation.metrics import REAL, ImageMetric, PatientMetric, PooledMetric
from pivm.report.forms import CAPTIONS, method_title, write_forms


def write_image_table(
    table: ImageTable,
    shown: Sequence[ImageMetric],
    window: tuple[float, float],
    confidence: float,
    weights: str,
    outputs,
) -> None:
    """Write Table 1 in all four forms.

    Args:
        table: what it shows.
        shown: its columns.
        window: HU range that metrics see.
        confidence: of the intervals.
        weights: as :func:`pivm.config.weights_note`.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    note = f"{CAPTIONS['table1']}. {footnote(table, shown, window, confidence)}{weights}"
    write_forms(table.tidy, partial(paper_shape, table, shown), note, "table1", outputs)


def paper_shape(table: ImageTable, shown: Sequence[ImageMetric], bold: str, arrows: dict[str, str]) -> pd.DataFrame:
    """Patients 1..N and their mean ± standard deviation as rows; (metric, method) as columns; best of a row in bold.

    A metric of all patients together has a value in the last row alone.

    Args:
        table: what is shown.
        shown: the metrics, in their order.
        bold: format of the best value.
        arrows: by direction.
    """
    methods, patients = (list(dict.fromkeys(frame)) for frame in (table.tidy["method"], table.cases["patient"]))
    columns = {}
    for metric in shown:
        means = table.tidy[table.tidy["metric"] == metric.key].set_index("method").loc[methods]
        if isinstance(metric, PooledMetric):
            wide = pd.DataFrame(index=patients, columns=methods, dtype=float)
        else:
            wide = table.cases.pivot(index="patient", columns="method", values=metric.key).loc[patients, methods]
        wide.loc["mean"] = means["mean"]
        best = [_best(row, metric.better) for _, row in wide.iterrows()]
        for method in methods:
            cells = ["–" if pd.isna(value) else metric.shown(value) for value in wide[method]]
            if pd.notna(sd := means.loc[method, "sd"]):
                cells[-1] += f" ± {metric.shown(sd)}"
            heading = (f"{metric.heading} {arrows[metric.better]}", method_title(method))
            columns[heading] = [
                bold % cell if first == method else cell for cell, first in zip(cells, best, strict=True)
            ]
    index = pd.Index([*map(str, range(1, len(patients) + 1)), "Avg. ± sd"], name="Patient")
    shaped = pd.DataFrame(columns, index=index)
    shaped.columns = pd.MultiIndex.from_tuples(columns)
    return shaped


def _best(values: pd.Series, better: str) -> str | None:
    """The method of the best value; None where there is no value."""
    if values.isna().all():
        return None
    return values.idxmin() if better == "lower" else values.idxmax()


def footnote(table: ImageTable, shown: Sequence[ImageMetric], window: tuple[float, float], confidence: float) -> str:
    """What the numbers are: window and data range, then every metric with its companions and the floor."""
    low, high = window
    patients = list(dict.fromkeys(table.cases["patient"]))
    slices = table.cases.groupby("patient", sort=False)["slices"].first()
    rows = {key: part.set_index("method") for key, part in pd.concat([table.tidy, table.floor]).groupby("metric")}
    metrics = with_companions(shown)
    sentences = [
        f"Patients: {', '.join(patients)}; {_range(slices)} slices each.",
        f"HU are clipped to [{low:g}, {high:g}] and counted from {low:g}, data range {high - low:g}.",
        *(_patient_sentence(m, metrics, rows) for m in shown if isinstance(m, PatientMetric)),
        *(_pooled_sentence(m, rows[m.key], confidence) for m in metrics if isinstance(m, PooledMetric)),
    ]
    return " ".join(sentences)


def _patient_sentence(metric: ImageMetric, metrics: Sequence[ImageMetric], rows: dict[str, pd.DataFrame]) -> str:
    """A metric per patient: what it is, its floor, and its companions per patient."""
    text = f"{metric.title}: {metric.note}"
    if not metric.paired:
        real = rows[metric.key].loc[REAL]
        sd = f" ± {metric.shown(real['sd'])}" if pd.notna(real["sd"]) else ""
        text += (
            f"; real slices of each patient against as many of one training patient: {metric.shown(real['mean'])}{sd}"
        )
    for companion in metrics:
        if companion.key in metric.companions and isinstance(companion, PatientMetric):
            means = rows[companion.key]["mean"].drop(REAL, errors="ignore")
            values = ", ".join(f"{method_title(m)} {companion.shown(mean)}" for m, mean in means.items())
            text += f"; {companion.note}: {values}"
    return f"{text}."


def _pooled_sentence(metric: PooledMetric, rows: pd.DataFrame, confidence: float) -> str:
    """A metric of all patients together: what it is, its value per method with its interval, and its floor."""
    values = {method: _with_interval(metric, row) for method, row in rows.iterrows()}
    real = values.pop(REAL, None)
    several = rows["ci_low"].notna().any()
    text = f"{metric.note}, all patients together"
    text += f", with its {confidence:.0%} jackknife interval over patients" if several else ""
    text += f": {'; '.join(f'{method_title(m)} {value}' for m, value in values.items())}"
    return f"{text}; real slices against those of training patients {real}." if real else f"{text}."


def _range(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _with_interval(metric: PooledMetric, row: pd.Series) -> str:
    value = metric.shown(row["mean"])
    if pd.isna(row["ci_low"]):
        return value
    return f"{value} [{metric.shown(row['ci_low'])}, {metric.shown(row['ci_high'])}]"
