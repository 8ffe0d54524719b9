"""HU fidelity per organ as a Markdown table."""

from __future__ import annotations

import pandas as pd

from pivm.report.forms import method_title
from pivm.report.words import Words


def markdown(table: pd.DataFrame, words: Words) -> str:
    """A row per organ: mean ± standard deviation inside the label; difference and histogram distance of each method."""
    methods = list(dict.fromkeys(table["method"]))
    rows = {}
    for organ, part in table.groupby("organ", sort=False):
        part = part.set_index("method")
        cells = {words.heading: f"{part['real_mean'].iloc[0]:.0f} ± {part['real_sd'].iloc[0]:.0f}"}
        train = part["train_mean"].iloc[0]
        cells["Training patients"] = "–" if pd.isna(train) else f"{train:.0f}"
        for m in methods:
            cells[method_title(m)] = f"{part.loc[m, 'mean']:.0f} ± {part.loc[m, 'sd']:.0f}"
            cells[f"{method_title(m)}, difference"] = _difference(part.loc[m])
            cells[f"{method_title(m)}, distance"] = f"{part.loc[m, 'wasserstein']:.1f}"
        rows[organ.replace("_", " ")] = cells
    error, own_error = (
        (table["mean"] - table[column]).abs().groupby(table["method"]).mean() for column in ("real_mean", "train_mean")
    )
    floor = (table["train_mean"] - table["real_mean"]).abs().mean()
    distance = table.groupby("method")["wasserstein"].mean()
    shaped = pd.DataFrame.from_dict(rows, orient="index").rename_axis("Organ")
    average = [
        f"{method_title(m)}: mean off by {error[m]:.1f} ({own_error[m]:.1f} from training patients), distance "
        f"{distance[m]:.1f}"
        for m in methods
    ]
    note = (
        f"HU inside the label, mean ± standard deviation over the pixels of {int(table['patients'].max())} "
        f"held-out {words.patient}s; difference: synthetic less {words.adjective} organ mean of a patient, "
        "mean over patients with its interval; distance: first Wasserstein distance of the histograms, HU. "
        f"Averaged over organs, in HU: {'; '.join(average)}; {words.adjective} slices of training patients: mean off "
        f"by {floor:.1f}, which is what a generator is off by that is true to the patients it learns from."
    )
    return f"{shaped.to_markdown(disable_numparse=True)}\n\n{note}\n"


def _difference(row: pd.Series) -> str:
    text = f"{row['difference']:+.0f}"
    return text if pd.isna(row["ci_low"]) else f"{text} [{row['ci_low']:+.0f}, {row['ci_high']:+.0f}]"
