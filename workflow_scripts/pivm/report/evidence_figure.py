"""Dice against annotated patients, one line per arm."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.ticker import NullLocator

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.evidence import ORGAN_GROUPS
from pivm.report.drawing import calm_limits, method_colours, plt
from pivm.report.evidence_table import arm_title
from pivm.report.words import Words

_TITLES = {"all": "all organs", "small": "small organs"}
_MARKS, _LINES = "osD^vPX<>*dp", ("-", "--")


def plot_evidence(table: pd.DataFrame, level: float, words: Words, path: Path) -> None:
    """A panel for all organs and one for the small ones in each row, a row per length of the segmenters' training.

    Args:
        table: of :func:`pivm.evaluation.evidence.evidence_table`.
        level: of the intervals.
        words: of the scans.
        path: of the PNG.
    """
    steps, arms = sorted(table["steps"].unique()), list(dict.fromkeys(table["arm"]))
    colours = method_colours(arms)
    draws = sorted(table["annotated"].unique())
    size = (11, 4.2 * len(steps) + 0.9)
    figure, axes = plt.subplots(len(steps), len(ORGAN_GROUPS), figsize=size, squeeze=False, sharex=True)
    for row, multiple in zip(axes, steps, strict=True):
        for axis, organs in zip(row, ORGAN_GROUPS, strict=True):
            part = table[(table["steps"] == multiple) & (table["organs"] == organs)]
            for i, arm in enumerate(arms):
                _line(axis, part[part["arm"] == arm].sort_values("annotated"), i, len(arms), colours[arm], words)
            more = f", {multiple:g} × steps" if len(steps) > 1 else ""
            axis.set(xscale="log", title=f"{_TITLES[organs]}{more}", ylabel="Dice")
            axis.set_xticks(draws, [str(n) for n in draws])
            axis.xaxis.set_minor_locator(NullLocator())
            axis.grid(color="0.92")
            axis.set_axisbelow(True)
            calm_limits(axis, METRICS["dice"])
            axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("annotated patients")
    handles, titles = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, titles, ncols=2, loc="lower center", frameon=False)
    figure.suptitle(f"What synthetic slices add, by annotated patients; {level:.0%} intervals", fontsize=12)
    figure.tight_layout(rect=(0, (0.25 * -(-len(arms) // 2) + 0.1) / size[1], 1, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _line(axis, rows: pd.DataFrame, i: int, arms: int, colour: str, words: Words) -> None:
    # side by side, so that intervals do not hide each other
    x = rows["annotated"] * min(1.03, 1.2 ** (1 / max(arms - 1, 1))) ** (i - (arms - 1) / 2)
    ends = [(rows["mean"] - rows["ci_low"]).fillna(0), (rows["ci_high"] - rows["mean"]).fillna(0)]
    style = {"color": colour, "marker": _MARKS[i % len(_MARKS)], "ms": 5, "lw": 1.6, "elinewidth": 1}
    style["ls"] = _LINES[2 * i // len(_MARKS) % 2]
    label = arm_title(rows["arm"].iloc[0], words) if len(rows) else None
    axis.errorbar(x, rows["mean"], yerr=ends, label=label, **style)
