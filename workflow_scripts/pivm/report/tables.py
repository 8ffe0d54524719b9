"""The paper's tables in four forms: tidy CSV, Markdown, LaTeX and HTML."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pivm.evaluation.metrics import METRICS, TITLES

METHOD_TITLES = {
    "cddpm": "CDDPM",
    "maisi": "MAISI",
    "pivm": "PIVM (ours)",
    "prior": "Prior map",
    "gaussian": "Gaussian organs",
    "original": "Original",
    "generated": "Generated",
    "combined": "Combined",
}
CAPTIONS = {
    "table2": "Segmentation of held-out real patients by models trained on synthetic slices of each generator",
    "table3": "Segmentation of held-out real patients by models trained on real, synthetic and combined slices",
}
_ARROWS = {"lower": "↓", "higher": "↑"}


def write_table(tidy: pd.DataFrame, cases: pd.DataFrame, table: str, outputs) -> None:
    """Write all four forms.

    Args:
        tidy: as :func:`pivm.evaluation.statistics.summarise` gives it; cases: the scores behind it;
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    tidy.to_csv(outputs.csv, index=False)
    note = f"{CAPTIONS[table]}. {footnote(tidy, cases)}"
    shaped = paper_shape(tidy)
    Path(outputs.md).write_text(f"{shaped.to_markdown()}\n\n{note}\n")
    latex = paper_shape(tidy, bold=r"\textbf{%s}", arrows={"lower": r"$\downarrow$", "higher": r"$\uparrow$"})
    body = latex.to_latex(column_format="l" + "c" * len(latex.columns)).replace(" ± ", r" $\pm$ ")
    caption = note.replace("%", r"\%")
    Path(outputs.tex).write_text(f"\\begin{{table}}\n\\caption{{{caption}}}\n{body}\\end{{table}}\n")
    html = paper_shape(tidy, bold="<b>%s</b>").to_html(escape=False, border=0)
    Path(outputs.html).write_text(
        "<!doctype html><meta charset='utf-8'><style>body{font:15px sans-serif;margin:2em}"
        "table{border-collapse:collapse}td,th{padding:.4em 1em;border-bottom:1px solid #ccc;text-align:center}"
        f"</style><h3>{'Table ' + table[-1]}</h3>{html}<p>{note}</p>\n"
    )


def paper_shape(tidy: pd.DataFrame, bold: str = "**%s**", arrows: dict = _ARROWS) -> pd.DataFrame:
    """Metrics as rows, methods as columns, ``mean [interval]``; the best mean of a row in bold."""
    methods = list(dict.fromkeys(tidy["method"]))
    rows = {}
    for metric in dict.fromkeys(tidy["metric"]):
        part = tidy[tidy["metric"] == metric].set_index("method")
        unit, better = METRICS[metric]
        best = part["mean"].idxmin() if better == "lower" else part["mean"].idxmax()
        title = f"{TITLES[metric]}{' (mm)' if unit == 'mm' else ''} {arrows[better]}"
        digits = 1 if unit == "mm" else 3
        rows[title] = [_cell(part.loc[m], digits, bold if m == best else "%s") for m in methods]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[METHOD_TITLES.get(m, m) for m in methods])


def _cell(row: pd.Series, digits: int, style: str) -> str:
    mean = style % f"{row['mean']:.{digits}f}"
    if pd.isna(row["ci_low"]):
        return mean
    return f"{mean} [{row['ci_low']:.{digits}f}, {row['ci_high']:.{digits}f}]"


def footnote(tidy: pd.DataFrame, cases: pd.DataFrame) -> str:
    """Patients, seeds and missed classes behind a table, in one sentence each."""
    patients, seeds = int(tidy["patients"].max()), int(tidy["seeds"].max())
    counts = cases.groupby("method", sort=False)["missed"].agg(["sum", "size"])
    missed = ", ".join(f"{METHOD_TITLES.get(m, m)} {int(r['sum'])} of {int(r['size'])}" for m, r in counts.iterrows())
    text = (
        f"Mean over classes, then over {patients} test patient{'s' * (patients > 1)}; {seeds} seed{'s' * (seeds > 1)}. "
    )
    if tidy["ci_low"].notna().any():
        text += "In brackets: bootstrap interval of the mean over patients. "
    return text + f"Classes missed altogether (Dice 0, distance the slice diagonal): {missed}."
