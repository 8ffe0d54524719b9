"""The table of the evidence: arms as rows, annotated patients as columns."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd

from pivm.evaluation.evidence import SAME, SHIFTED, interval_words, loss_sentence, sentence
from pivm.evaluation.sentences import counted
from pivm.report.forms import caption, write_forms
from pivm.report.words import Words
from pivm.segmentation.arms import ARMS, GENERATED, REFERENCE
from pivm.segmentation.other_scanner import UNENHANCED_HU, ShiftSettings


def arm_title(arm: str, words: Words) -> str:
    """Its name in tables and figures."""
    return ARMS[arm].title.format(adjective=words.adjective)


def write_evidence(table: pd.DataFrame, level: float, words: Words, shifted: ShiftSettings | None, outputs) -> None:
    """Write all four forms.

    Args:
        table: of :func:`pivm.evaluation.evidence.evidence_table`.
        level: of the intervals.
        words: of the scans.
        shifted: the other scanner; None where the test slices are shown as they are alone.
        outputs: paths by attribute ``csv``, ``md``, ``tex``, ``html``.
    """
    generated = [arm for arm in dict.fromkeys(table["arm"]) if ARMS[arm].generator == GENERATED]
    title = partial(arm_title, words=words)
    notes = [
        f"{caption('evidence', words)}. Dice, mean over organs, then over "
        f"{counted(table['patients'].max(), 'test patient')} and "
        f"{counted(table['segmenter_seeds'].max(), 'segmenter seed')}. In brackets: the paired difference to the "
        f"{words.adjective} slices alone of the same patients, with its {100 * level:g} % interval over patients and "
        "seeds, and how many more annotated patients gain as much by the curve of these slices, taken as exact. "
        "Bold: told apart from the "
        f"{words.adjective} slices alone after Holm's correction over all pairs of arms. The draws are nested, and one "
        "of many that could have been drawn.",
    ]
    # the answer first: on the test slices as they are, then what the other scanner is, then the same on it
    said = {test: sentence(part, generated, level, title) for test, part in table.groupby("test")} if generated else {}
    scanner = f"{_scanner(shifted)} {loss_sentence(table, REFERENCE, title)}" if shifted else None
    notes += filter(None, [said.get(SAME), scanner, said.get(SHIFTED)])
    write_forms(table, partial(_shape, table, level, words), notes, "evidence", outputs)


def _scanner(shifted: ShiftSettings) -> str:
    """What the other scanner is."""
    return (
        "Another scanner: the same test slices and labels, where aorta, veins, kidneys, liver, spleen and pancreas "
        f"have {shifted.enhancement:g} times as much above {UNENHANCED_HU:g} HU (another contrast phase), with "
        f"a Gaussian blur of {shifted.blur_mm:g} mm (FWHM) and Gaussian noise of {shifted.noise_hu:g} HU (standard "
        "deviation)."
    )


def _shape(table: pd.DataFrame, level: float, words: Words, bold: str, arrows: dict[str, str]) -> pd.DataFrame:
    """Arms below the heading of what their scores are of: organs, length of the training, scanner."""
    several, index, rows = table["steps"].nunique() > 1, [], []
    largest = table["annotated"].max()
    for (test, steps, organs), part in table.groupby(["test", "steps", "organs"], sort=False):
        heading = f"{organs} organs{f', {steps:g} × steps' if several else ''}"
        heading += ", another scanner" if test == SHIFTED else ""
        index.append(f"{heading[0].upper()}{heading[1:]}: Dice {arrows['higher']}")
        rows.append(dict.fromkeys((f"{annotated} annotated" for annotated in table["annotated"].unique()), ""))
        for arm, cells in part.groupby("arm", sort=False):
            index.append(arm_title(str(arm), words))
            rows.append({f"{row.annotated} annotated": _cell(row, level, bold, largest) for row in cells.itertuples()})
    return pd.DataFrame(rows, index=index).fillna("–")


def _cell(row, level: float, bold: str, largest: int) -> str:
    if row.arm == REFERENCE:
        return f"{row.mean:.3f}"
    told_apart = pd.notna(row.p_holm) and row.p_holm <= 1 - level
    worth = "" if math.isnan(row.worth) else f"; {_patients(row.worth, largest - row.annotated)}"
    text = (bold if told_apart else "%s") % f"{row.mean:.3f}"
    return f"{text} ({row.difference:+.3f}{interval_words(row.difference_low, row.difference_high)}{worth})"


def _patients(worth: float, most: int) -> str:
    """More or fewer annotated patients, as far as the largest draw can tell.

    >>> _patients(1.3, 16), _patients(-0.4, 16), _patients(math.inf, 16)
    ('+1 patient', '+0 patients', 'more than +16 patients')
    """
    more = most if math.isinf(worth) else round(worth)
    return f"{'more than ' if math.isinf(worth) else ''}{'+' if more >= 0 else ''}{counted(more, 'patient')}"
