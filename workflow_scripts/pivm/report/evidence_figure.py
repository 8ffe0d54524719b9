"""Dice against annotated patients, one line per arm."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.ticker import NullLocator

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.evidence import ORGAN_GROUPS, SAME, SHIFTED
from pivm.report.drawing import calm_limits, method_colours, plt
from pivm.report.evidence_table import arm_title
from pivm.report.words import Words

_TITLES = {"all": "all organs", "small": "small organs"}
_TESTS = {SAME: "same scanner", SHIFTED: "another scanner"}
_MARKS, _LINES = "osD^vPX<>*dp", ("-", "--")


def plot_evidence(table: pd.DataFrame, level: float, words: Words, path: Path) -> None:
    """A row of panels for each length of the segmenters' training and group of organs, a column for each test.

    The panels of a row have one axis of Dice, so that what the other scanner costs is seen.

    Args:
        table: of :func:`pivm.evaluation.evidence.evidence_table`.
        level: of the intervals.
        words: of the scans.
        path: of the PNG.
    """
    arms, tests = list(dict.fromkeys(table["arm"])), list(dict.fromkeys(table["test"]))
    lengths = sorted(table["steps"].unique())
    rows = [(steps, organs) for steps in lengths for organs in ORGAN_GROUPS]
    colours = method_colours(arms)
    draws = sorted(table["annotated"].unique())
    size = (max(5.5 * len(tests), 7), 3.5 * len(rows) + 0.9)
    figure, axes = plt.subplots(len(rows), len(tests), figsize=size, squeeze=False, sharex=True, sharey="row")
    for row, (steps, organs) in zip(axes, rows, strict=True):
        for axis, test in zip(row, tests, strict=True):
            part = table[(table["steps"] == steps) & (table["organs"] == organs) & (table["test"] == test)]
            for i, arm in enumerate(arms):
                _line(axis, part[part["arm"] == arm].sort_values("annotated"), i, len(arms), colours[arm], words)
            more = f", {steps:g} × steps" if len(lengths) > 1 else ""
            where = f", {_TESTS[test]}" if len(tests) > 1 else ""
            axis.set(xscale="log", title=f"{_TITLES[organs]}{more}{where}")
            axis.set_xticks(draws, [str(n) for n in draws])
            axis.xaxis.set_minor_locator(NullLocator())
            axis.grid(color="0.92")
            axis.set_axisbelow(True)
            axis.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel("Dice")
        calm_limits(row[0], METRICS["dice"])
    for axis in axes[-1]:
        axis.set_xlabel("annotated patients")
    handles, titles = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, titles, ncols=len(tests), loc="lower center", frameon=False)
    heading = f"What synthetic slices add, by annotated patients; {level:.0%} intervals"
    figure.suptitle(heading, fontsize=12, y=1 - 0.1 / size[1], va="top")
    foot = 0.25 * -(-len(arms) // len(tests)) + 0.1
    figure.tight_layout(rect=(0, foot / size[1], 1, 1))
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
