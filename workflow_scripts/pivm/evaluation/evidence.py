"""What synthetic slices are worth: differences to real slices alone, and the annotated patients that gain as much."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.crossed import CrossedMean
from pivm.evaluation.statistics import small_organs, summarise_metric

#: columns of the table, one row per draw, steps, organs and arm
EVIDENCE = [
    *("annotated", "steps", "organs", "arm", "mean", "ci_low", "ci_high"),
    *("difference", "difference_low", "difference_high", "p_holm", "worth", "worth_low", "worth_high"),
    *("patients", "generator_seeds", "segmenter_seeds"),
]
ORGAN_GROUPS = ("all", "small")
_DICE = METRICS["dice"]


def evidence_table(cases: pd.DataFrame, reference: str, level: float) -> pd.DataFrame:
    """Dice of every arm in every draw, beside that of the reference.

    Args:
        cases: as :func:`pivm.evaluation.cases.case_table`, with ``method`` (the arm), ``annotated`` (patients of the
            draw) and ``steps`` (multiple of the segmenter's steps).
        reference: the arm of real slices alone.
        level: of the intervals.

    Returns:
        Columns :data:`EVIDENCE`. ``difference`` is paired, arm less reference in the same draw; ``p_holm`` is corrected
        for all pairs of arms in that draw. ``worth`` is how many more annotated patients the reference needs to reach
        the mean of the arm, by :func:`patients_needed`, its ends those of the interval of the difference; infinite
        where no draw reaches it. ``organs``: all, or the small ones (:func:`pivm.evaluation.statistics.small_organs`).
    """
    small = cases["label"].isin(small_organs(cases))
    rows = []
    for organs, chosen in (("all", cases), ("small", cases[small])):
        for steps, of_steps in chosen.groupby("steps", sort=False):
            rows += _of_steps(of_steps, {"organs": organs, "steps": steps}, reference, level)
    return pd.DataFrame(rows, columns=EVIDENCE)


def _of_steps(cases: pd.DataFrame, named: dict, reference: str, level: float) -> list[dict]:
    """The rows of all draws of one length of training."""
    # pairs are differences to the earlier method
    draws = {
        int(annotated): summarise_metric(part, _DICE, list(dict.fromkeys([reference, *part["method"]])), level)
        for annotated, part in cases.groupby("annotated")
    }
    curve = {annotated: draw.means[reference].mean for annotated, draw in draws.items() if draw.means}
    rows = []
    for annotated, draw in draws.items():
        differences = {pair.method: pair for pair in draw.pairs if pair.reference == reference}
        for arm, mean in draw.means.items():
            row = {**named, "annotated": annotated, "arm": arm, **_numbers(mean)}
            if pair := differences.get(arm):
                d = pair.difference
                row |= {"difference": d.mean, "difference_low": d.low, "difference_high": d.high}
                row["p_holm"] = pair.p_holm
                for end, gain in (("", d.mean), ("_low", d.low), ("_high", d.high)):
                    if gain is not None:
                        row[f"worth{end}"] = patients_needed(curve, curve[annotated] + gain) - annotated
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
    """What the largest gain is, or that there is none that the test patients can show, for each draw.

    The arm with the largest difference speaks, with the p that is corrected for the choice among all pairs of arms.

    Args:
        table: of :func:`evidence_table`.
        arms: that may speak.
        level: of the claim.
        title: of an arm.
    """
    rows = table[(table["organs"] == "all") & table["arm"].isin(arms)]
    said = []
    for (steps, annotated), part in rows.groupby(["steps", "annotated"]):
        best = part.loc[part["difference"].idxmax()]
        more = f", {steps:g} times the steps" if steps != 1 else ""
        start = f"With {annotated} annotated patient{'' if annotated == 1 else 's'}{more}, "
        ends = f"[{best.difference_low:+.3f}, {best.difference_high:+.3f}]"
        if pd.notna(best.p_holm) and best.p_holm <= 1 - level and best.difference > 0:
            gain = f"{title(best.arm)} adds {best.difference:+.3f} Dice {ends}: {_worth(best)}."
        else:
            most = f"(the most: {title(best.arm)}, {best.difference:+.3f} {ends})"
            gain = f"synthetic slices add nothing that {best.patients} test patients can show {most}."
        said.append(start + gain)
    return " ".join(said)


def _worth(row) -> str:
    """How many more annotated patients gain as much."""
    if math.isinf(row.worth):
        return "more than all annotated patients that there are"
    low, high = (
        f"{end:.0f}" if math.isfinite(end) else "more than there are" for end in (row.worth_low, row.worth_high)
    )
    return f"as much as {row.worth:.0f} more annotated patients ({low} to {high})"
