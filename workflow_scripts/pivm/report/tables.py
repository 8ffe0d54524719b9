"""Tables 2 and 3 and the ablation in the paper's shape: metrics as rows, methods as columns."""

from __future__ import annotations

from functools import partial

import pandas as pd

from pivm.evaluation.metrics import METRICS, TITLES
from pivm.report.forms import CAPTIONS, method_title, write_forms


def write_table(tidy: pd.DataFrame, cases: pd.DataFrame, table: str, weights: str, outputs) -> None:
    """Write Table 2 or 3 in all four forms.

    Args:
        tidy: as :func:`pivm.evaluation.statistics.summarise` gives it; cases: the scores behind it;
        weights: as :func:`pivm.config.weights_note`; outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    note = f"{CAPTIONS[table]}. {footnote(tidy, cases)}{weights}"
    write_forms(tidy, partial(paper_shape, tidy), note, table, outputs)


def paper_shape(tidy: pd.DataFrame, bold: str, arrows: dict[str, str]) -> pd.DataFrame:
    """Metrics as rows, methods as columns, ``mean [interval]``; the best mean of a row in bold."""
    methods = list(dict.fromkeys(tidy["method"]))
    rows = {}
    for metric in dict.fromkeys(tidy["metric"]):
        part = tidy[tidy["metric"] == metric].set_index("method")
        unit, better = METRICS[metric]
        best = part["mean"].idxmin() if better == "lower" else part["mean"].idxmax()
        title = f"{TITLES[metric]}{f' ({unit})' if unit != '1' else ''} {arrows[better]}"
        digits = 1 if unit != "1" else 3
        rows[title] = [_cell(part.loc[m], digits, bold if m == best else "%s") for m in methods]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[method_title(m) for m in methods])


def _cell(row: pd.Series, digits: int, style: str) -> str:
    mean = style % f"{row['mean']:.{digits}f}"
    if pd.isna(row["ci_low"]):
        return mean
    return f"{mean} [{row['ci_low']:.{digits}f}, {row['ci_high']:.{digits}f}]"


def footnote(tidy: pd.DataFrame, cases: pd.DataFrame) -> str:
    """Patients, seeds and missed classes behind a table, in one sentence each."""
    patients, seeds = int(tidy["patients"].max()), int(tidy["seeds"].max())
    counts = cases.groupby("method", sort=False)["missed"].agg(["sum", "size"])
    missed = ", ".join(f"{method_title(m)} {int(r['sum'])} of {int(r['size'])}" for m, r in counts.iterrows())
    text = (
        f"Mean over classes, then over {patients} test patient{'s' * (patients > 1)}; {seeds} seed{'s' * (seeds > 1)}. "
    )
    if tidy["ci_low"].notna().any():
        text += "In brackets: bootstrap interval of the mean over patients. "
    return text + f"Classes missed altogether (Dice 0, distance the slice diagonal): {missed}."


def ablation_note(tidy: pd.DataFrame, options: dict) -> str:
    """What stands below the table of the ablation.

    Args:
        options: config keys ``image_window`` and ``confidence``.
    """
    low, high = options["image_window"]
    return (
        f"{CAPTIONS['ablation']}. Mean over {int(tidy['patients'].max())} test patients, HU from {low} to {high}; in "
        f"brackets: {options['confidence']:.0%} bootstrap interval of the mean over patients. Errors: mean absolute "
        "difference of one synthetic slice to the real one, over the pixels of the region."
    )
