"""What synthetic slices add: Dice against annotated patients, and the paired differences that the sentence tells."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.ticker import MaxNLocator, NullLocator

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.evidence import ORGAN_GROUPS, SAME, SHIFTED
from pivm.report.drawing import calm_limits, method_colours, plt
from pivm.report.evidence_table import arm_title
from pivm.report.words import Words
from pivm.segmentation.arms import REFERENCE

_TITLES = {"all": "all organs", "small": "small organs"}
_TESTS = {SAME: "same scanner", SHIFTED: "another scanner"}
_LABELS, _CURVES, _PANEL = 4.3, 3.4, 2.0  # inches: names of the arms, curves, differences of one draw


def plot_evidence(table: pd.DataFrame, level: float, words: Words, path: Path) -> None:
    """A row of panels for each length of the segmenters' training and group of organs.

    At the left Dice against annotated patients, a line for each arm; beside it, for each draw, the paired difference
    of every arm to the slices of the annotated patients alone: with its interval, hollow on another scanner. A draw
    that has no other arm, as that of all patients may, has no panel.

    Args:
        table: of :func:`pivm.evaluation.evidence.evidence_table`.
        level: of the intervals.
        words: of the scans.
        path: of the PNG.
    """
    arms, draws = list(dict.fromkeys(table["arm"])), sorted(table["annotated"].unique())
    lengths = sorted(table["steps"].unique())
    rows = [(steps, organs) for steps in lengths for organs in ORGAN_GROUPS]
    colours = method_colours(arms)
    others = [arm for arm in arms if arm != REFERENCE]
    compared = sorted(table.loc[table["arm"] != REFERENCE, "annotated"].unique())
    widths = [_CURVES, *([_PANEL] * len(compared))]
    size = (sum(widths) + _LABELS, max(0.33 * len(arms) + 1.1, 2.8) * len(rows) + 0.5)
    grid = {"squeeze": False, "width_ratios": widths, "layout": "constrained"}
    figure, axes = plt.subplots(len(rows), len(widths), figsize=size, **grid)
    for (curves, *panels), (steps, organs) in zip(axes, rows, strict=True):
        part = table[(table["steps"] == steps) & (table["organs"] == organs)]
        more = f", {steps:g} × steps" if len(lengths) > 1 else ""
        _curves(curves, part, draws, colours)
        curves.set_title(f"{_TITLES[organs]}{more}")
        for axis, draw in zip(panels, compared, strict=True):
            _differences(axis, part[part["annotated"] == draw], others, colours)
            axis.set_title(f"{draw} annotated", fontsize=10)
        if panels:
            panels[0].set_yticks(range(len(others)), [arm_title(arm, words) for arm in others])
            _share_limits(panels)
    tests = [test for test in _TESTS if test in set(table["test"])]
    marks = "; ".join(f"{'hollow' if test == SHIFTED else 'filled'}: {_TESTS[test]}" for test in tests)
    heading = f"Dice, and what is added to that of the {words.adjective} slices alone (black), {level:.0%} intervals"
    figure.suptitle(heading + (f"; {marks}" if len(tests) > 1 else ""), fontsize=12)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _curves(axis, rows: pd.DataFrame, draws: list[int], colours: dict[str, str]) -> None:
    """Dice on the same scanner; beside two or more arms only the reference has its interval, as they would hide it."""
    rows = rows[rows["test"] == SAME]
    few = rows["arm"].nunique() <= 2
    for arm, part in rows.groupby("arm", sort=False):
        part, front = part.sort_values("annotated"), arm == REFERENCE
        style = {"color": colours[arm], "lw": 2.2 if front else 1.3, "zorder": 3 if front else 2}
        axis.plot(part["annotated"], part["mean"], marker="o", ms=4, **style)
        if front or few:
            ends = (part[end].astype(float) for end in ("ci_low", "ci_high"))
            axis.fill_between(part["annotated"], *ends, color=colours[arm], alpha=0.2, lw=0, zorder=1)
    axis.set(xscale="log", xlabel="annotated patients", ylabel="Dice")
    axis.set_xticks(draws, [str(n) for n in draws])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(color="0.92")
    axis.spines[["top", "right"]].set_visible(False)
    calm_limits(axis, METRICS["dice"])


def _differences(axis, rows: pd.DataFrame, arms: list[str], colours: dict[str, str]) -> None:
    """Paired differences of a draw, an arm in each line; none where the draw does not have the arm."""
    shift = 0.17 if rows["test"].nunique() > 1 else 0
    for row in rows[rows["arm"].isin(arms)].itertuples():
        colour, hollow = colours[row.arm], row.test == SHIFTED
        y = arms.index(row.arm) + (shift if hollow else -shift)
        ends = [[row.difference - row.difference_low], [row.difference_high - row.difference]]
        known = None if pd.isna(row.difference_low) else ends
        axis.errorbar(
            row.difference,
            y,
            xerr=known,
            fmt="o",
            ms=4.5,
            color=colour,
            mfc="white" if hollow else colour,
            elinewidth=1.2,
        )
    axis.axvline(0, color="0.2", lw=1)
    axis.set(ylim=(len(arms) - 0.4, -0.6), xlabel="difference in Dice")
    axis.set_yticks(range(len(arms)), [""] * len(arms))
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="0.92")
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)


def _share_limits(panels) -> None:
    """One axis of differences in a row, at least a twentieth of Dice to either side."""
    low, high = (pick(axis.get_xlim()[end] for axis in panels) for end, pick in ((0, min), (1, max)))
    for axis in panels:
        axis.set_xlim(min(low, -0.05), max(high, 0.05))
        axis.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
