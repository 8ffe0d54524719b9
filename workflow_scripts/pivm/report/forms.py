"""One table in four forms: tidy CSV, Markdown, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

METHOD_TITLES = {
    "cddpm": "CDDPM",
    "maisi": "MAISI",
    "pivm": "PIVM (ours)",
    "prior": "Prior map",
    "gaussian": "Gaussian organs",
    "original": "Original",
    "generated": "Generated",
    "combined": "Combined",
    "real": "Real",
    "labels_34": "34 labels",
    "labels_13": "13 labels",
}
CAPTIONS = {
    "table1": "Fidelity of slices made from the label maps of held-out patients to their real slices",
    "table2": "Segmentation of slices of held-out patients by models trained on synthetic slices of each generator; "
    "distances between outlines in the slices",
    "table3": "Segmentation of slices of held-out patients by models trained on real, synthetic and combined slices; "
    "distances between outlines in the slices",
    "table2_volumes": "Segmentation of whole CT volumes of held-out patients, every slice at its own resolution, by "
    "models trained on synthetic slices of each generator; distances between surfaces in 3D",
    "table3_volumes": "Segmentation of whole CT volumes of held-out patients, every slice at its own resolution, by "
    "models trained on real, synthetic and combined slices; distances between surfaces in 3D",
    "evidence": "Segmentation of slices of held-out patients by models trained on the slices of a few annotated "
    "patients, and what is added to them",
    "privacy": "Copies of training patients among synthetic slices, and an attack on who was in the training",
    "ablation": "Fidelity of slices made for held-out patients from all labels and from 13 of them",
}
_ARROWS = {"lower": "↓", "higher": "↑"}
_LATEX_ARROWS = {"lower": r"$\downarrow$", "higher": r"$\uparrow$"}


def method_title(method: str) -> str:
    """Heading of a method: a generator of the user's own keeps its name."""
    return METHOD_TITLES.get(method, method)


def write_forms(
    tidy: pd.DataFrame,
    shape: Callable[[str, dict[str, str]], pd.DataFrame],
    notes: Sequence[str],
    table: str,
    outputs,
) -> None:
    """Write all four forms.

    Args:
        tidy: what the CSV holds.
        shape: (format of the best value, arrow per direction) -> the table as the paper has it.
        notes: stand below the table, a paragraph each; the first is its caption.
        table: its key in :data:`CAPTIONS`.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    tidy.to_csv(outputs.csv, index=False)
    shaped = shape("**%s**", _ARROWS)
    if shaped.columns.nlevels > 1:
        shaped.columns = [" ".join(names) for names in shaped.columns]
    Path(outputs.md).write_text(
        f"{shaped.to_markdown(disable_numparse=True)}\n\n" + "\n\n".join(notes) + "\n", encoding="utf-8"
    )
    latex = shape(r"\textbf{%s}", _LATEX_ARROWS).rename(columns=_latex)
    body = latex.to_latex(column_format="l" + "c" * len(latex.columns), multicolumn_format="c")
    body = body.replace(" ± ", r" $\pm$ ")
    caption, *others = map(_latex, notes)
    small = "".join(f"\n\\par\\footnotesize {text}" for text in others)
    Path(outputs.tex).write_text(
        f"\\begin{{table}}\n\\caption{{{caption}}}\n{body}{small}\n\\end{{table}}\n", encoding="utf-8"
    )
    paragraphs = "".join(f"<p>{html.escape(text)}</p>" for text in notes)
    heading = table.capitalize().replace("Table", "Table ").replace("_", ", ")
    page = shape("<b>%s</b>", _ARROWS).to_html(escape=False, border=0)
    Path(outputs.html).write_text(
        "<!doctype html><meta charset='utf-8'><style>body{font:15px sans-serif;margin:2em}"
        "table{border-collapse:collapse}td,th{padding:.4em 1em;border-bottom:1px solid #ccc;text-align:center}"
        f"</style><h3>{heading}</h3>{page}{paragraphs}\n",
        encoding="utf-8",
    )


def _latex(text: str) -> str:
    return re.sub(r"(?<!\\)([%_&#])", r"\\\1", text).replace("±", r"$\pm$")
