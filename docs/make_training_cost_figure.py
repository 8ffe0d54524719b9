"""Draw docs/training_cost.png and print its table: python docs/make_training_cost_figure.py RESULTS/development/tables

RESULTS is that of a run of configs/training_cost.yaml, whose generators are named absolute_<passes> and
variation_<passes>.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow_scripts"))
from pivm.evaluation.all_metrics import METRICS  # noqa: E402
from pivm.report.drawing import method_colours, plt  # noqa: E402

#: passes of the default
DEFAULT = 20
TITLES = {"absolute": "absolute HU (CDDPM)", "variation": "variation around organ means (PIVM)"}
SHOWN = ("ssim", "frechet_distance", "kid")


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means of each target and number of passes, and the paired differences of the two targets."""
    means = pd.read_csv(folder / "table1.csv")
    means[["target", "passes"]] = means["method"].str.split("_", expand=True)
    means["passes"] = means["passes"].astype(int)
    pairs = pd.read_csv(folder / "table1_differences.csv")
    for side in ("method", "reference"):
        pairs[[f"{side}_target", f"{side}_passes"]] = pairs[side].str.split("_", expand=True)
    same = (pairs["method_passes"] == pairs["reference_passes"]) & (pairs["method_target"] == "variation")
    pairs = pairs[same].assign(passes=pairs["method_passes"].astype(int))
    hu = pd.read_csv(folder / "hu_fidelity.csv")
    hu["off"] = (hu["mean"] - hu["real_mean"]).abs()
    off = hu.groupby("method")["off"].mean()
    return means, pairs.assign(off=pairs["method"].map(off), off_absolute=pairs["reference"].map(off))


def main(folder: Path) -> None:
    means, pairs = read(folder)
    colours = dict(zip(TITLES, method_colours(["cddpm", "pivm"]).values(), strict=True))
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(12.5, 4.2))
    for axis, key in zip(axes, SHOWN, strict=True):
        metric = METRICS[key]
        for target, title in TITLES.items():
            rows = means[(means["metric"] == key) & (means["target"] == target)].sort_values("passes")
            rows = rows.assign(**{c: rows[c] * metric.factor for c in ("mean", "ci_low", "ci_high")})
            share = rows["passes"] / DEFAULT
            axis.plot(share, rows["mean"], "o-", color=colours[target], label=title)
            axis.fill_between(share, rows["ci_low"], rows["ci_high"], color=colours[target], alpha=0.15, lw=0)
        axis.set_xscale("log", base=2)
        ticks = sorted(means["passes"].unique() / DEFAULT)
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_xlabel("training steps, as a share of the default's")
        axis.set_title(f"{metric.heading}\n{metric.better} is better", fontsize=11)
        axis.grid(color="0.92")
        axis.spines[["top", "right"]].set_visible(False)
    handles, titles = axes[0].get_legend_handles_labels()
    figure.legend(handles, titles, ncols=2, loc="lower center", frameon=False)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(ROOT / "docs" / "training_cost.png", dpi=110)
    print("| share of the steps |", " | ".join(METRICS[key].heading for key in SHOWN), "| organ means off (HU) |")
    print("| --- |" + " --- |" * (len(SHOWN) + 1))
    for passes, rows in pairs.groupby("passes"):
        cells = []
        for key in SHOWN:
            row, metric = rows[rows["metric"] == key].iloc[0], METRICS[key]
            values = [metric.factor * row[c] for c in ("difference", "ci_low", "ci_high")]
            star = " *" if row["p_holm"] < 0.05 else ""
            difference, low, high = (f"{value:+.{metric.digits}f}" for value in values)
            cells.append(f"{difference} [{low}, {high}]{star}")
        first = rows.iloc[0]
        cells.append(f"{first['off']:.1f} against {first['off_absolute']:.1f}")
        print(f"| {passes / DEFAULT:g} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
