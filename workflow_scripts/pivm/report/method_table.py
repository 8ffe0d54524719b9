"""Tables 2 and 3 and the ablation in the paper's shape: metrics as rows, methods as columns."""

from __future__ import annotations

from functools import partial

import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.metrics import Metric
from pivm.report.forms import CAPTIONS, method_title, write_forms


def write_table(tidy: pd.DataFrame, cases: pd.DataFrame, table: str, weights: str, outputs) -> None:
    """Write Table 2 or 3 in all four forms.

    Args:
        tidy: as :func:`pivm.evaluation.statistics.summarise` gives it.
        cases: the scores behind it.
        table: ``table2`` or ``table3``.
        weights: as :func:`pivm.config.weights_note`.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    note = f"{CAPTIONS[table]}. {footnote(tidy, cases)}{weights}"
    write_forms(tidy, partial(paper_shape, tidy), note, table, outputs)


def paper_shape(tidy: pd.DataFrame, bold: str, arrows: dict[str, str]) -> pd.DataFrame:
    """Metrics as rows, methods as columns, ``mean [interval]``; the best mean of a row in bold.

    Args:
        tidy: what is shown.
        bold: format of the best value.
        arrows: by direction.
    """
    methods = list(dict.fromkeys(tidy["method"]))
    rows = {}
    for key in dict.fromkeys(tidy["metric"]):
        part, metric = tidy[tidy["metric"] == key].set_index("method"), METRICS[key]
        best = part["mean"].idxmin() if metric.better == "lower" else part["mean"].idxmax()
        cells = [_cell(part.loc[m], metric, bold if m == best else "%s") for m in methods]
        rows[f"{metric.heading} {arrows[metric.better]}"] = cells
    return pd.DataFrame.from_dict(rows, orient="index", columns=[method_title(m) for m in methods])


def _cell(row: pd.Series, metric: Metric, style: str) -> str:
    mean = style % metric.shown(row["mean"])
    if pd.isna(row["ci_low"]):
        return mean
    return f"{mean} [{metric.shown(row['ci_low'])}, {metric.shown(row['ci_high'])}]"


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


def ablation_note(tidy: pd.DataFrame, window: tuple[float, float], confidence: float) -> str:
    """What stands below the table of the ablation.

    Args:
        tidy: what the table shows.
        window: HU range of SSIM and errors.
        confidence: of the intervals.
    """
    low, high = window
    return (
        f"{CAPTIONS['ablation']}. Mean over {int(tidy['patients'].max())} test patients, HU from {low} to {high}; in "
        f"brackets: {confidence:.0%} bootstrap interval of the mean over patients. Errors: mean absolute "
        "difference of one synthetic slice to the real one, over the pixels of the region."
    )
