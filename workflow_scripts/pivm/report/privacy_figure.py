"""The distances behind the privacy audit, and the membership attack by noise level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pivm.evaluation.privacy.audit import Audit
from pivm.report.drawing import plt
from pivm.report.privacy_table import LABEL_MAP_TITLES, audit_title
from pivm.synthesis.copies import SEEN, Limits

_OWN = ("test", *SEEN)
_NEAREST = ("real_val", "real_test", "test", "labels_only")
#: of what the slices were made from
_COLOURS = {
    **{"real_val": "#333333", "real_test": "#999999", "train": "#ee6677", "augmented": "#aa3377"},
    **{"test": "#4477aa", "labels_only": "#228833", "val": "#66ccee"},
}
_REAL_TITLES = {"real_val": "validation slices", "real_test": "test slices"}


def plot_privacy(audits: Sequence[Audit], table: pd.DataFrame, percentile: float, path: Path) -> None:
    """A row per generator: distances to the slice of the same label map, to the nearest training slice, and the attack.

    Args:
        audits: the first training of each method is drawn.
        table: of :func:`pivm.evaluation.privacy.audit.audit_table`.
        percentile: of the limit that is drawn.
        path: of the PNG.
    """
    first = {audit.method: audit for audit in reversed(audits)}
    methods = list(dict.fromkeys(audit.method for audit in audits))
    size = (13, 2.2 * len(methods) + 1.8)
    figure, axes = plt.subplots(len(methods), 3, figsize=size, squeeze=False, sharex="col")
    for row, method in zip(axes, methods, strict=True):
        distances = first[method].distances
        limits = Limits.fit(distances, percentile)
        _shares(row[0], distances, "own", _OWN, limits.labels)
        _shares(row[1], distances, "nearest", _NEAREST, limits.fresh)
        row[0].set_ylabel(f"{audit_title(method)}\nshare of slices")
        _attack(row[2], table[table["method"] == method])
    titles = ("distance to the slice of the same label map", "distance to the nearest training slice")
    for axis, title in zip(axes[0], (*titles, "membership attack by noise level"), strict=True):
        axis.set_title(title, fontsize=11)
    for axis, label in zip(axes[-1], ("distance", "distance", "noise level"), strict=True):
        axis.set_xlabel(label)
    # over all rows: a generator may lack a source of label maps that another has
    for column in (0, 1):
        found = {}
        for axis in axes[:, column]:
            handles, names = axis.get_legend_handles_labels()
            found |= dict(zip(names, handles, strict=True))
        place = (0.2 + 0.32 * column, 0.0)
        figure.legend(list(found.values()), list(found), loc="lower center", bbox_to_anchor=place, frameon=False)
    figure.tight_layout(rect=(0, 1.2 / size[1], 1, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _shares(axis, distances: pd.DataFrame, column: str, sets: Sequence[str], limit: float) -> None:
    """Share of the slices below each distance, a line per set."""
    for name in sets:
        values = np.sort(distances.loc[distances["set"] == name, column].dropna())
        if len(values):
            title = _REAL_TITLES.get(name) or f"from label maps of {LABEL_MAP_TITLES[name]}"
            shares = np.arange(len(values) + 1) / len(values)
            axis.step([0, *values], shares, where="post", color=_COLOURS[name], label=title)
    axis.axvline(limit, color="0.4", ls=":", lw=1.2, label="nearer counts as a copy")
    axis.set(xlim=(0, None), ylim=(0, 1))
    axis.grid(color="0.93")
    axis.spines[["top", "right"]].set_visible(False)


def _attack(axis, table: pd.DataFrame) -> None:
    prefix = "membership_auc_"
    rows = table[table["metric"].str.startswith(prefix)]
    axis.set(xlim=(0, 1), ylim=(0, 1.02))
    axis.spines[["top", "right"]].set_visible(False)
    if not len(rows):
        said = table[table["metric"] == "membership_auc"]
        text = f"AUC {said['mean'].iloc[0]:.2f}" if len(said) else "no denoising loss to attack"
        axis.text(0.5, 0.5, text, ha="center", va="center", color="0.4")
        return
    levels = rows["metric"].str.removeprefix(prefix).astype(float)
    ends = [(rows["mean"] - rows["ci_low"]).fillna(0), (rows["ci_high"] - rows["mean"]).fillna(0)]
    axis.errorbar(levels, rows["mean"], yerr=ends, color="0.2", marker="o", ms=4, lw=1.4, elinewidth=1)
    axis.axhline(0.5, color="0.4", ls=":", lw=1.2)
    axis.set(ylabel="AUC")
    axis.grid(color="0.93")
