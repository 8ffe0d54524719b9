"""What synthetic slices are worth: differences to real slices alone, and the annotated patients that gain as much."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.crossed import CrossedMean
from pivm.evaluation.sentences import counted
from pivm.evaluation.statistics import small_organs, summarise_metric

#: how the test slices are shown: as they are, and as another scanner would
SAME, SHIFTED = "same", "shifted"
#: columns of the table, one row per test, draw, steps, organs and arm
EVIDENCE = [
    *("test", "annotated", "steps", "organs", "arm", "mean", "ci_low", "ci_high"),
    *("difference", "difference_low", "difference_high", "p_holm", "worth", "worth_low", "worth_high"),
    *("patients", "generator_seeds", "segmenter_seeds"),
]
ORGAN_GROUPS = ("all", "small")
_DICE = METRICS["dice"]


def evidence_table(cases: pd.DataFrame, reference: str, level: float) -> pd.DataFrame:
    """Dice of every arm in every draw, beside that of the reference.

    Args:
        cases: as :func:`pivm.evaluation.cases.case_table`, with ``method`` (the arm), ``annotated`` (patients of the
            draw), ``steps`` (multiple of the segmenter's steps) and ``test`` (:data:`SAME` or :data:`SHIFTED`).
        reference: the arm of real slices alone.
        level: of the intervals.

    Returns:
        Columns :data:`EVIDENCE`. ``difference`` is paired, arm less reference in the same draw and test; ``p_holm`` is
        corrected for all pairs of arms in these. ``worth`` is how many more annotated patients gain as much as the arm
        in the same test, by :func:`patients_needed`, its ends those of the interval of the difference, the curve being
        taken as exact; infinite where no draw reaches it, NaN in the largest draw, which no other outdoes. ``organs``:
        all, or the small ones (:func:`pivm.evaluation.statistics.small_organs`).
    """
    small = cases["label"].isin(small_organs(cases))
    rows = []
    for test in cases["test"].unique():
        for organs, chosen in (("all", cases), ("small", cases[small])):
            for steps, of_steps in chosen[chosen["test"] == test].groupby("steps", sort=False):
                rows += _of_steps(of_steps, {"test": test, "organs": organs, "steps": steps}, reference, level)
    return pd.DataFrame(rows, columns=EVIDENCE)


def _of_steps(cases: pd.DataFrame, named: dict, reference: str, level: float) -> list[dict]:
    """The rows of all draws of one length of training in one test."""
    # pairs are differences to the earlier method
    draws = {
        int(annotated): summarise_metric(part, _DICE, list(dict.fromkeys([reference, *part["method"]])), level)
        for annotated, part in cases.groupby("annotated")
    }
    curve = {annotated: draw.means[reference].mean for annotated, draw in draws.items() if draw.means}
    # as patients_needed has it: a draw counts as no worse than a smaller one
    risen = {annotated: max(score for n, score in curve.items() if n <= annotated) for annotated in curve}
    rows = []
    for annotated, draw in draws.items():
        differences = {pair.method: pair for pair in draw.pairs if pair.reference == reference}
        for arm, mean in draw.means.items():
            row = {**named, "annotated": annotated, "arm": arm, **_numbers(mean)}
            if pair := differences.get(arm):
                d = pair.difference
                row |= {"difference": d.mean, "difference_low": d.low, "difference_high": d.high}
                row["p_holm"] = pair.p_holm
                # of the largest draw no other says what a gain is worth
                ends = (("", d.mean), ("_low", d.low), ("_high", d.high)) if annotated < max(curve) else ()
                for end, gain in ends:
                    if gain is not None:
                        more = patients_needed(curve, risen[annotated] + gain) - annotated
                        # where the curve is level a gain of nothing is worth nothing, and no gain less than that
                        row[f"worth{end}"] = max(more, 0.0) if gain >= 0 else more
            rows.append(row)
    return rows


def _numbers(mean: CrossedMean) -> dict:
    counts = {"generator_seeds": mean.generator_seeds, "segmenter_seeds": mean.segmenter_seeds}
    return {"mean": mean.mean, "ci_low": mean.low, "ci_high": mean.high, "patients": mean.patients, **counts}


def patients_needed(curve: Mapping[int, float], score: float) -> float:
    """Annotated patients with which the curve reaches a score.

    The curve is made to rise (a draw counts as no worse than a smaller one) and is straight between its draws over the
    logarithm of the patients.

    Args:
        curve: annotated patients -> score.
        score: to be reached.

    Returns:
        Patients, not rounded: ``inf`` where no draw reaches the score, the fewest there are where each does.

    >>> patients_needed({4: 0.5, 8: 0.6, 16: 0.7}, 0.65)
    11.3137
    >>> patients_needed({4: 0.5, 8: 0.6}, 0.61)
    inf
    """
    patients = np.array(sorted(curve), float)
    scores = np.maximum.accumulate([curve[int(n)] for n in patients])
    if score > scores[-1]:
        return math.inf
    first = int(np.searchsorted(scores, score))
    if first == 0:
        return float(patients[0])
    low, high = scores[first - 1], scores[first]
    part = (score - low) / (high - low)
    return float(np.exp(np.log(patients[first - 1]) + part * np.log(patients[first] / patients[first - 1])))


def sentence(table: pd.DataFrame, arms: Sequence[str], level: float, title: Callable[[str], str]) -> str:
    """What the largest gain is, or that there is none that the test patients can show, for each test and draw.

    The arm with the largest difference speaks, with the p that is corrected for the choice among all pairs of arms.

    Args:
        table: of :func:`evidence_table`.
        arms: that may speak.
        level: of the claim.
        title: of an arm.
    """
    rows = table[(table["organs"] == "all") & table["arm"].isin(arms)]
    said, largest = [], table["annotated"].max()
    for (test, steps, annotated), part in rows.groupby(["test", "steps", "annotated"]):
        best = part.loc[part["difference"].idxmax()]
        more = f", {steps:g} times the steps" if steps != 1 else ""
        place = "On another scanner, with" if test == SHIFTED else "With"
        start, name = f"{place} {counted(annotated, 'annotated patient')}{more}, ", title(best.arm)
        ends = interval_words(best.difference_low, best.difference_high)
        if pd.notna(best.p_holm) and best.p_holm <= 1 - level and best.difference > 0:
            gain = f"{name} adds {best.difference:+.3f} Dice{ends}{_worth(best, largest)}."
        else:
            most = f"(the most: {name}, {best.difference:+.3f}{ends})"
            if best.patients == 1:
                gain = f"one test patient gives no interval and no test of what synthetic slices add {most}."
            else:
                gain = f"synthetic slices add nothing that {counted(best.patients, 'test patient')} can show {most}."
        said.append(start + gain)
    return " ".join(said)


def interval_words(low: float, high: float) -> str:
    """The interval of a difference, behind it; nothing where there is none, as of one patient.

    >>> interval_words(-0.01, 0.02), interval_words(math.nan, math.nan)
    (' [-0.010, +0.020]', '')
    """
    return "" if pd.isna(low) else f" [{low:+.3f}, {high:+.3f}]"


def loss_sentence(table: pd.DataFrame, reference: str, title: Callable[[str], str]) -> str:
    """By how much Dice of the reference changes on another scanner; empty where that was not scored.

    Args:
        table: of :func:`evidence_table`.
        reference: the arm of real slices alone.
        title: of an arm.
    """
    rows = table[(table["organs"] == "all") & (table["arm"] == reference)]
    means = rows.pivot_table("mean", ["annotated", "steps"], "test")
    if SHIFTED not in means:
        return ""
    change = means[SHIFTED] - means[SAME]
    low, high = f"{change.min():+.3f}", f"{change.max():+.3f}"
    return f"On another scanner, Dice of {title(reference)} changes by {low if low == high else f'{low} to {high}'}."


def _worth(row, largest: int) -> str:
    """A clause: how many more annotated patients gain as much, as far as the largest draw can tell."""
    if math.isnan(row.worth):
        return ""
    most = largest - row.annotated
    if math.isinf(row.worth):
        return f": as much as more than {counted(most, 'more annotated patient')}"
    low, high = (str(round(e)) if math.isfinite(e) else f"more than {most}" for e in (row.worth_low, row.worth_high))
    return f": as much as {counted(round(row.worth), 'more annotated patient')} ({low} to {high})"
