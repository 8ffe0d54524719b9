"""Texture inside organs as a Markdown table."""

from __future__ import annotations

import pandas as pd

from pivm.evaluation.organ_texture import LEAST
from pivm.report.forms import method_title
from pivm.report.words import Words


def markdown(table: pd.DataFrame, words: Words) -> str:
    """A row per organ: of the scans the three measures themselves, of each method their ratio to those of the scans."""
    table = table.assign(rough=table["inside"] / table["real_inside"], spread=table["between"] / table["real_between"])
    methods, rows = list(dict.fromkeys(table["method"])), {}
    for organ, part in table.groupby("organ", sort=False):
        part = part.set_index("method")
        first = part.iloc[0]
        real = (first["real_inside"], first["real_between"])
        cells = {f"{words.heading}: inside, between (HU)": ", ".join(_number(value, ".1f") for value in real)}
        cells[f"{words.heading}: correlation"] = _number(first["real_correlation"], ".2f")
        for m in methods:
            ratios = (part.loc[m, "rough"], part.loc[m, "spread"])
            cells[f"{method_title(m)}: inside, between (ratio)"] = ", ".join(_number(ratio, ".2f") for ratio in ratios)
            cells[f"{method_title(m)}: correlation"] = _number(part.loc[m, "correlation"], ".2f")
        rows[str(organ).replace("_", " ")] = cells
    shaped = pd.DataFrame.from_dict(rows, orient="index").rename_axis("Organ")
    medians = table.groupby("method")[["rough", "spread"]].median()
    middle = [f"{method_title(m)}: {' and '.join(_number(v, '.2f') for v in medians.loc[m])}" for m in methods]
    note = (
        f"HU inside the labels of held-out {words.patient}s, without the pixels at the rim, in slices where {LEAST} "
        "pixels and more are left. Inside: standard deviation in a slice, mean over slices; correlation: of pixels "
        f"next to each other; between: standard deviation of the organ's mean over {words.patient}s. Ratios: synthetic "
        f"over {words.adjective} slices of the same label maps, 1 is right. Median ratios over organs, inside and "
        f"between: {'; '.join(middle)}."
    )
    return f"{shaped.to_markdown(disable_numparse=True)}\n\n{note}\n"


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else format(value, form)
