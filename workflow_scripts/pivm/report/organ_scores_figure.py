"""Scores per organ: what a mean over organs hides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.report.drawing import method_colours, plt
from pivm.report.forms import caption, method_title
from pivm.report.words import Words

#: what is drawn of the rows of a table
SHOWN = ("dice", "hausdorff_distance_95", "missed")


def plot_organ_scores(
    organs: pd.DataFrame, table: str, confidence: float, words: Words, generated: str, path: Path
) -> None:
    """A row per organ, a panel per metric, a mark with its interval per method; small organs stand apart, below.

    Args:
        organs: columns :data:`pivm.evaluation.statistics.ORGANS`.
        table: its key, as in :func:`pivm.report.forms.caption`.
        confidence: of the intervals.
        words: of the scans.
        generated: the generator behind the method of this name.
        path: of the PNG.
    """
    metrics = [m for m in SHOWN if (organs["metric"] == m).any()] or list(dict.fromkeys(organs["metric"]))[:1]
    methods = list(dict.fromkeys(organs["method"]))
    colours = method_colours(methods, generated)
    large, small = (list(dict.fromkeys(organs.loc[organs["small"] == flag, "organ"])) for flag in (False, True))
    places = {organ: i + (0.8 if organ in small else 0) for i, organ in enumerate([*large, *small])}
    height = 0.3 * len(places) + 2.2
    figure, axes = plt.subplots(1, len(metrics), figsize=(4.4 * len(metrics) + 1.6, height), squeeze=False, sharey=True)
    for axis, metric in zip(axes[0], metrics, strict=True):
        part = organs[organs["metric"] == metric]
        for i, method in enumerate(methods):
            _marks(
                axis, part[part["method"] == method], places, (i + 0.5) / len(methods) - 0.5, colours[method], method
            )
        axis.set_title(f"{METRICS[metric].heading}\n{METRICS[metric].better} is better", fontsize=11)
        axis.grid(axis="x", color="0.92")
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(left=False)
        for place in places.values():
            axis.axhline(place + 0.5, color="0.95", lw=0.7, zorder=0)
        if small and large:
            axis.axhline(len(large) - 0.1, color="0.5", lw=1)
    axes[0, 0].set_yticks(list(places.values()), [organ.replace("_", " ") for organ in places], fontsize=9)
    axes[0, 0].set_ylim(max(places.values()) + 0.6, -0.6)
    if small and large:
        axes[0, -1].text(
            1.01, len(large) + 0.1, "small organs", transform=axes[0, -1].get_yaxis_transform(), fontsize=9, va="top"
        )
    handles, titles = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, titles, ncols=len(titles), loc="lower center", frameon=False)
    title = f"{caption(table, words).split(';')[0]}: each organ, {confidence:.0%} intervals"
    if len(organs) < len(methods) * len(organs[["organ", "metric"]].drop_duplicates()):
        title += "\nno mark: found in fewer than half of the patients in whom others find it"
    figure.suptitle(title, fontsize=11.5)
    figure.tight_layout(rect=(0, 0.6 / height, 1, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _marks(axis, rows: pd.DataFrame, places: dict[str, float], shift: float, colour: str, method: str) -> None:
    """The means of one method with their intervals; an organ without an interval has a mark alone."""
    factor = METRICS[rows["metric"].iloc[0]].factor if len(rows) else 1
    y = [places[organ] + 0.7 * shift for organ in rows["organ"]]
    mean, low, high = (factor * rows[column].astype(float).to_numpy() for column in ("mean", "ci_low", "ci_high"))
    spread = np.nan_to_num(np.array([mean - low, high - mean]))
    axis.errorbar(
        mean, y, xerr=np.maximum(spread, 0), fmt="o", ms=3.5, lw=1.1, color=colour,
        label=method_title(method),
    )  # fmt: skip
