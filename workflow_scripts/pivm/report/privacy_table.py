"""The table of the privacy audit: generators and their label maps as rows."""

from __future__ import annotations

from functools import partial

import pandas as pd

from pivm.evaluation.privacy.audit import REAL, caught
from pivm.evaluation.privacy.membership import FALSE_POSITIVES
from pivm.evaluation.privacy.sentence import controls_sentence, sentence
from pivm.evaluation.privacy.settings import CONTROLS
from pivm.report.forms import caption, method_title, write_forms
from pivm.report.words import Words

LABEL_MAP_TITLES = {
    "train": "training patients",
    "augmented": "virtual patients",
    "labels_only": "patients without CT",
    "test": "held-out patients",
    "val": "validation patients",
}
CONTROL_TITLES = {"few_patients": "Over-trained on few patients", "repeated_patient": "One patient repeated"}


def audit_title(method: str) -> str:
    """Its name in tables and figures."""
    return CONTROL_TITLES.get(method) or method_title(method)


def audit_sentences(table: pd.DataFrame, method: str, level: float) -> list[str]:
    """What the audit says of one generator, and whether it counts; empty where it was not audited.

    Args:
        table: of :func:`pivm.evaluation.privacy.audit.audit_table`.
        method: the generator.
        level: of the claims.
    """
    if not (table["method"] == method).any():
        return []
    return [sentence(table, method, level, audit_title), controls_sentence(table, level, audit_title)]


def write_privacy(table: pd.DataFrame, percentiles: dict[str, float], level: float, words: Words, outputs) -> None:
    """Write all four forms.

    Args:
        table: of :func:`pivm.evaluation.privacy.audit.audit_table`.
        percentiles: metric -> percentile of fresh slices.
        level: of the intervals.
        words: of the scans.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    generators = [m for m in dict.fromkeys(table["method"]) if m not in (REAL, *CONTROLS)]
    said = [sentence(table, method, level, audit_title) for method in generators]
    copies, near = percentiles.values()
    notes = [
        f"{caption('privacy', words)}. In brackets: {100 * level:g} % interval over patients; after the slash: the "
        "same number of patients whom no generator has seen. Bold: more than these show.",
        controls_sentence(table, level, audit_title),
        " ".join(said),
        "Distances are 1 less the cosine of variations (HU less the prior map, in units of each label's spread, inside "
        f"the outline). Copies and near copies are below percentile {copies:g} and {near:g} of validation patients. "
        "Label maps of held-out patients and of patients without CT: to the nearest training slice, against that of "
        f"{words.adjective} slices. Label maps of training and virtual patients: to the {words.adjective} slice of the "
        "same label map, against slices made from label maps that no training has seen, as a label map alone makes two "
        "slices alike.",
        _attack_note(table),
    ]
    write_forms(table, partial(_shape, table, level), notes, "privacy", outputs)


def _attack_note(table: pd.DataFrame) -> str:
    rows = table[table["metric"] == "membership_auc"]
    without = [m for m in dict.fromkeys(table["method"]) if m not in (REAL, *rows["method"])]
    lacking = f" {', '.join(map(audit_title, without))}: no denoising loss, hence distances alone." if without else ""
    if not len(rows):
        return f"No membership attack.{lacking}"
    others = int(rows["compared"].min())
    note = "Membership: training patients against validation and test patients by their denoising loss."
    if others < 1 / FALSE_POSITIVES:
        note += f" {others} others cannot resolve a false-positive rate of 1 %: the rate shown is at no false positive."
    return note + lacking


def _shape(table: pd.DataFrame, level: float, bold: str, arrows: dict[str, str]) -> pd.DataFrame:
    low, high, rows = arrows["lower"], arrows["higher"], {}
    for (method, maps), part in table[table["label_maps"] != ""].groupby(["method", "label_maps"], sort=False):
        of = {row.metric: row for row in part.itertuples()}
        first = not any(name.startswith(audit_title(str(method)) + ",") for name in rows)
        attack = table[(table["method"] == method) & (table["label_maps"] == "")]
        if first:
            of |= {row.metric: row for row in attack.itertuples()}
        rows[f"{audit_title(str(method))}, {LABEL_MAP_TITLES[str(maps)]}"] = {
            f"Distance {high}": _cell(of.get("distance"), level, bold, 1, 3),
            f"Copies (%) {low}": _cell(of.get("copies"), level, bold, 100, 1),
            f"Near copies (%) {low}": _cell(of.get("near"), level, bold, 100, 1),
            f"Patients copied (%) {low}": _cell(of.get("copied_patients"), level, bold, 100, 0),
            f"Membership AUC {low}": _cell(of.get("membership_auc"), level, bold, 1, 2),
            f"TPR at 1 % FPR (%) {low}": _cell(of.get("membership_tpr"), level, bold, 100, 0),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _cell(row, level: float, bold: str, factor: float, digits: int) -> str:
    if row is None:
        return "–"
    beyond = pd.notna(row.p) and row.metric in ("copies", "membership_auc") and caught(row, level)
    text = (bold if beyond else "%s") % f"{factor * row.mean:.{digits}f}"
    if pd.notna(row.ci_low):
        text += f" [{factor * row.ci_low:.{digits}f}, {factor * row.ci_high:.{digits}f}]"
    return f"{text} / {factor * row.expected:.{digits}f}" if pd.notna(row.expected) else text
