"""HU fidelity per organ as a figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pivm.report.drawing import method_colours, plt
from pivm.report.forms import method_title
from pivm.report.words import Words

#: organs of the figure, where they occur: soft tissue, vessels, muscle and bone
MAIN_ORGANS = (
    "liver",
    "spleen",
    "kidney_right",
    "pancreas",
    "stomach",
    "aorta",
    "inferior_vena_cava",
    "colon",
    "autochthon_left",
    "vertebrae_L1",
)
#: real standard deviation, HU, from which an organ is drawn on a scale of its own
_WIDE_SD = 200


def plot_hu_fidelity(table: pd.DataFrame, words: Words, path: Path) -> None:
    """Mean and standard deviation per organ, real and every method side by side.

    The first ten organs stand in where none of :data:`MAIN_ORGANS` occurs. Organs that hold gas have
    an axis of their own.

    Args:
        table: of :func:`pivm.evaluation.organ_intensity.compare_organ_intensity`.
        words: of the scans.
        path: of the PNG.
    """
    present = list(dict.fromkeys(table["organ"]))
    organs = [o for o in MAIN_ORGANS if o in present] or present[: len(MAIN_ORGANS)]
    part = table[table["organ"].isin(organs)].set_index(["organ", "method"])
    wide = part["real_sd"].groupby("organ").first() > _WIDE_SD
    groups = [g for g in ([o for o in organs if not wide[o]], [o for o in organs if wide[o]]) if g]
    figure, axes = plt.subplots(
        1, len(groups), figsize=(1.25 * len(organs) + 1.6, 4.6), width_ratios=[*map(len, groups)], squeeze=False
    )
    for axis, group in zip(axes[0], groups, strict=True):
        _draw_organs(axis, part, group, words)
    axes[0, 0].set_ylabel("HU inside the label (mean, standard deviation)")
    handles, titles = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, titles, ncols=len(titles), loc="upper center", frameon=False, fontsize=9.5)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_organs(axis, part: pd.DataFrame, organs: list[str], words: Words) -> None:
    methods = list(dict.fromkeys(part.index.get_level_values("method")))
    colours = method_colours(methods)
    series = [(words.heading, "s", "0.2", [part.loc[(o, methods[0]), ["real_mean", "real_sd"]] for o in organs])]
    for m in methods:
        series.append((method_title(m), "o", colours[m], [part.loc[(o, m), ["mean", "sd"]] for o in organs]))
    width = 0.72 / len(series)
    for i, (title, marker, colour, values) in enumerate(series):
        x = [k + (i - (len(series) - 1) / 2) * width for k in range(len(organs))]
        means, sds = zip(*(tuple(v) for v in values), strict=True)
        axis.errorbar(x, means, sds, fmt=marker, color=colour, ms=5.5, lw=1.6, capsize=3, label=title)
    for k in range(1, len(organs)):
        axis.axvline(k - 0.5, color="0.9", lw=0.8)
    axis.set_xticks(range(len(organs)), [o.replace("_", "\n") for o in organs], fontsize=9)
    axis.set_xlim(-0.5, len(organs) - 0.5)
    axis.grid(axis="y", color="0.93")
    axis.spines[["top", "right"]].set_visible(False)
