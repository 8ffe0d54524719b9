"""One table in four forms: tidy CSV, Markdown, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from pivm.report.words import Words

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
    "nnunet_original": "nnU-Net, original",
    "nnunet_generated": "nnU-Net, generated",
    "nnunet_combined": "nnU-Net, combined",
    "labels_34": "34 labels",
    "labels_13": "13 labels",
}
#: table -> what it shows; the words in braces are those of :class:`pivm.report.words.Words`
_CAPTIONS = {
    "table1": "Fidelity of slices made from the label maps of held-out {patient}s to their {adjective} slices",
    "table2": "Segmentation of slices of held-out {patient}s by models trained on synthetic slices of each generator; "
    "distances between outlines in the slices",
    "table3": "Segmentation of slices of held-out {patient}s by models trained on {adjective}, synthetic and combined "
    "slices; distances between outlines in the slices",
    "table2_volumes": "Segmentation of whole CT volumes of held-out {patient}s, every slice at its own resolution, by "
    "models trained on synthetic slices of each generator; distances between surfaces in 3D",
    "table3_volumes": "Segmentation of whole CT volumes of held-out {patient}s, every slice at its own resolution, by "
    "models trained on {adjective}, synthetic and combined slices; distances between surfaces in 3D",
    "label_agreement": "Segmentation of synthetic slices, and of held-out {patient}s' own, by models trained on "
    "{adjective} slices; distances between outlines in the slices",
    "nnunet": "Segmentation of whole CT volumes of held-out {patient}s, every slice at its own resolution, by our "
    "models, trained on slices, and by nnU-Net (2D), trained on whole volumes, of the same training patients; "
    "distances between surfaces in 3D",
    "evidence": "Segmentation of slices of held-out {patient}s by models trained on the slices of a few annotated "
    "patients, and what is added to them",
    "privacy": "Copies of training patients among synthetic slices, and an attack on who was in the training",
    "ablation": "Fidelity of slices made for held-out {patient}s from all labels and from 13 of them",
}
_ARROWS = {"lower": "↓", "higher": "↑"}
_LATEX_ARROWS = {"lower": r"$\downarrow$", "higher": r"$\uparrow$"}


def method_title(method: str) -> str:
    """Heading of a method: a generator of the user's own keeps its name."""
    return METHOD_TITLES.get(method, method)


def caption(table: str, words: Words) -> str:
    """What a table shows.

    Args:
        table: its key, ``table1`` to ``table3`` and others.
        words: of the scans.
    """
    return _CAPTIONS[table].format(**words._asdict())


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
        table: its key, as in :func:`caption`.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    tidy.to_csv(outputs.csv, index=False)
    shaped = shape("**%s**", _ARROWS)
    if shaped.columns.nlevels > 1:
        shaped.columns = [" ".join(names) for names in shaped.columns]
    Path(outputs.md).write_text(
        f"{shaped.to_markdown(disable_numparse=True)}\n\n" + "\n\n".join(notes) + "\n", encoding="utf-8"
    )
    latex = shape(r"\textbf{%s}", _LATEX_ARROWS).rename(columns=_latex, index=lambda name: _latex(str(name)))
    body = latex.to_latex(column_format="l" + "c" * len(latex.columns), multicolumn_format="c")
    body = body.replace(" ± ", r" $\pm$ ")
    first, *others = map(_latex, notes)
    small = "".join(f"\n\\par\\footnotesize {text}" for text in others)
    Path(outputs.tex).write_text(
        f"\\begin{{table}}\n\\caption{{{first}}}\n{body}{small}\n\\end{{table}}\n", encoding="utf-8"
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


def read_notes(path: Path) -> list[str]:
    """The paragraphs below a table, from its Markdown as :func:`write_forms` wrote it; the first is its caption.

    Args:
        path: of the Markdown.
    """
    _, _, below = Path(path).read_text(encoding="utf-8").partition("\n\n")
    return [paragraph.strip() for paragraph in below.split("\n\n") if paragraph.strip()]


def _latex(text: str) -> str:
    return re.sub(r"(?<!\\)([%_&#])", r"\\\1", text).replace("±", r"$\pm$")
