"""A table as a plot: every patient as a point, the mean with its interval."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.metrics import Metric
from pivm.evaluation.statistics import per_patient
from pivm.report.drawing import calm_limits, method_colours, plt
from pivm.report.forms import caption, method_title
from pivm.report.words import TableFacts


def plot_table(
    tidy: pd.DataFrame, cases: pd.DataFrame, table: str, facts: TableFacts, generated: str, path: Path
) -> None:
    """One axis per metric: patients as linked points, the mean with its interval beside them.

    Args:
        tidy: the table.
        cases: the scores behind it.
        table: its key, as in :func:`pivm.report.forms.caption`.
        facts: what its words depend on.
        generated: the generator behind the method of this name.
        path: of the PNG.
    """
    # a metric that is taken over all patients together has no points
    shown = tidy[tidy["patients"] > 0]
    metrics = [m for m in dict.fromkeys(shown["metric"]) if m in cases]
    methods = list(dict.fromkeys(tidy["method"]))
    colours = method_colours(methods, generated)
    patients = per_patient(cases, metrics)
    width, columns = max(3.1, 0.85 * len(methods)), min(len(metrics), 4)
    rows = -(-len(metrics) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, 3.9 * rows), squeeze=False)
    for axis in axes.flat[len(metrics) :]:
        axis.set_visible(False)
    for axis, metric in zip(axes.flat, metrics, strict=False):
        _draw_metric(axis, METRICS[metric], patients, tidy, colours)
    count = patients["patient"].nunique()
    bars = f"Diamonds: mean, {facts.level:.0%} interval over patients and seeds" if count > 1 else "Diamonds: mean"
    figure.suptitle(textwrap.fill(caption(table, facts.words), 42 * columns), fontsize=11)
    figure.text(
        0.5,
        0.01,
        f"Grey: {count} held-out {facts.words.patient}{'s' * (count > 1)}. {bars}.",
        ha="center",
        fontsize=9,
        color="0.35",
    )
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_metric(axis, entry: Metric, patients: pd.DataFrame, tidy: pd.DataFrame, colours: dict[str, str]) -> None:
    """The patients of one metric, linked from method to method, and the means."""
    methods, x = list(colours), np.arange(len(colours))
    of_metric = patients[patients["metric"] == entry.key]
    wide = entry.factor * of_metric.pivot(index="patient", columns="method", values="value")[methods]
    axis.plot(x, wide.to_numpy().T, color="0.82", lw=0.8, marker="o", ms=3, zorder=1)
    part = tidy[tidy["metric"] == entry.key].set_index("method").loc[methods]
    for i, method in enumerate(methods):
        row = entry.factor * part.loc[method, ["mean", "ci_low", "ci_high"]].astype(float)
        spread = [[row["mean"] - row["ci_low"]], [row["ci_high"] - row["mean"]]]
        spread = None if pd.isna(row["ci_low"]) else spread
        axis.errorbar(i, row["mean"], spread, fmt="D", ms=7, capsize=5, lw=2, color=colours[method], zorder=3)
    axis.set_title(textwrap.fill(entry.heading, 26), fontsize=11)
    axis.set_xlabel(f"{entry.better} is better", fontsize=9, color="0.35")
    axis.set_xticks(x, [method_title(m).replace(" ", "\n") for m in methods], fontsize=9)
    axis.set_xlim(-0.5, len(methods) - 0.5)
    axis.margins(y=0.12)
    calm_limits(axis, entry)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="0.92")
    axis.set_axisbelow(True)
