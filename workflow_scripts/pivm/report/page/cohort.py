"""The data of the page: which scans are used, why the others are not, and who trains and who tests."""

from __future__ import annotations

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.split import split_table
from pivm.report.page.facts import PageRun


def cohort_section(run: PageRun) -> dict:
    """Counts of scans by state and of patients by part of the split, and every scan that was set aside.

    Args:
        run: that is shown.
    """
    selection = read_patient_csv(run.results / "cohort/selection.csv")
    split = split_table(run.results / "cohort/split.csv")
    aside = selection[selection["status"] != "selected"]
    parts = split.groupby("split")["patient"].nunique()
    order = [part for part in ("train", "val", "test", "labels_only") if part in parts]
    return {
        "scans": len(selection),
        "selected": int((selection["status"] == "selected").sum()),
        "aside": aside[["subject", "status", "reason"]].values.tolist(),
        "split": [
            [part, int(parts[part]), sorted(set(split.loc[split["split"] == part, "patient"]))] for part in order
        ],
        "source": ", ".join(dict.fromkeys(split["source"])),
    }
