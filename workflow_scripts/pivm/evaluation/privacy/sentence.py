"""What the audit says in words, made from its numbers."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from pivm.evaluation.privacy.audit import REAL, controls_fire, findings
from pivm.evaluation.privacy.settings import CONTROLS

Title = Callable[[str], str]
_CAUGHT = {True: "is caught", False: "is NOT caught", None: "cannot be caught with so few patients"}
_TOO_FEW = "{patients} and {compared} patients are too few to tell"


def sentence(table: pd.DataFrame, method: str, level: float, title: Title) -> str:
    """What is found of one generator.

    Args:
        table: of :func:`pivm.evaluation.privacy.audit.audit_table`.
        method: generator or control.
        level: of the claims.
        title: of a method.
    """
    mine = table[table["method"] == method]
    parts = [_copies(mine, findings(table, method, level)["copies"])]
    if (mine["metric"] == "membership_auc").any():
        parts.append(_membership(mine, findings(table, method, level)["membership"]))
    else:
        parts.append("it has no denoising loss to attack")
    return f"{title(method)}: {'; '.join(parts)}."


def _copies(mine: pd.DataFrame, found: bool | None) -> str:
    """The row of the smallest p speaks."""
    rows = mine[mine["metric"] == "copies"]
    row = rows.loc[rows["p"].idxmin()]
    whose = {"train": "training patients", "augmented": "virtual patients", "labels_only": "patients without CT"}
    numbers = (
        f"{_share(row)} of the slices from label maps of {whose.get(row.label_maps, 'held-out patients')} against "
        f"{100 * row.expected:.1f} % expected, p = {row.p:.3g}"
    )
    if found is None:
        return f"copies cannot be told ({numbers}: {_TOO_FEW.format(**_counts(row))})"
    return (
        f"it copies training patients ({numbers})"
        if found
        else f"no copies beyond what fresh patients show ({numbers})"
    )


def _membership(mine: pd.DataFrame, found: bool | None) -> str:
    row = mine[mine["metric"] == "membership_auc"].iloc[0]
    numbers = f"AUC {row['mean']:.2f}{_ends(row, 1, 2)}, p = {row.p:.3g}"
    if found is None:
        return f"membership cannot be told ({numbers}: {_TOO_FEW.format(**_counts(row))})"
    if found:
        return f"its loss tells who was in the training ({numbers})"
    counts = f"{row.patients:.0f} members and {row.compared:.0f} others"
    return f"its loss does not tell who was in the training, as far as {counts} can show ({numbers})"


def controls_sentence(table: pd.DataFrame, level: float, title: Title) -> str:
    """Whether the audit counts: over-trained generators were found to copy, and real validation patients were not."""
    done, copied = controls_fire(table, level), table[table["metric"] == "copies"].set_index(["method", "label_maps"])
    said = []
    for name in CONTROLS:
        if name in done:
            verb = {True: "is caught", False: "is NOT caught", None: "cannot be caught with so few patients"}[
                done[name]
            ]
            row = copied.loc[(name, "train")]
            said.append(f"{title(name)} {verb} ({_share(row)} copies, p = {row.p:.3g})")
    if done[REAL] is None:
        said.append("too few validation patients to hold them against each other")
    else:
        row = copied.loc[(REAL, "val")]
        verb = "pass" if done[REAL] else "do NOT pass"
        said.append(f"real validation patients {verb} ({_share(row)} copies, p = {row.p:.3g})")
    counts = "The audit counts" if all(done.values()) else "The audit proves nothing"
    return f"{counts}: {'; '.join(said)}."


def _share(row) -> str:
    return f"{100 * row['mean']:.1f} %{_ends(row, 100, 1)}"


def _ends(row, factor: float, digits: int) -> str:
    if pd.isna(row.ci_low):
        return ""
    return f" [{factor * row.ci_low:.{digits}f}, {factor * row.ci_high:.{digits}f}]"


def _counts(row) -> dict[str, int]:
    return {"patients": int(row.patients), "compared": int(row.compared)}
