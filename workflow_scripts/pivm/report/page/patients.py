"""Scores per patient: one list of all of them, and their organs in files of a few patients that are read on demand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.cases import read_cases
from pivm.report.forms import method_title
from pivm.report.page.data_file import write_data
from pivm.report.page.facts import PageRun

#: patients of a file of details: a thousand patients make 40 files, and a click reads one
CHUNK = 25
#: of the details of a patient
SHOWN = ("dice", "hausdorff_distance_95")


def write_patients(run: PageRun, folder: Path) -> dict:
    """Write ``data/patients/<chunk>.js`` with the organs of the patients.

    Args:
        run: that is shown.
        folder: of the page.

    Returns:
        ``columns``, ``rows`` (a patient's name and mean Dice per column, the lowest in the mean of the columns
        first), ``chunk``, the patients of a file, and ``metrics`` of the details.
    """
    cases = _cases(run)
    methods = list(dict.fromkeys(cases["method"]))
    means = cases.groupby(["patient", "method"])["dice"].mean().unstack("method")[methods]
    means = means.loc[means.mean(axis=1).sort_values(kind="stable").index]
    metrics = [key for key in SHOWN if key in cases]
    per_organ = cases.groupby(["patient", "label", "method"], sort=False)[metrics].mean()
    of_patient = {name: part.droplevel("patient") for name, part in per_organ.groupby("patient", sort=False)}
    names = list(means.index)
    for number, start in enumerate(range(0, len(names), CHUNK)):
        write_data(
            f"patients/{number}", [_organs(of_patient[n], methods) for n in names[start : start + CHUNK]], folder
        )
    images = _image_scores(run)
    rows = [[name, *means.loc[name].tolist(), images.get(name)] for name in names]
    return {
        "columns": [method_title(method) for method in methods],
        "rows": rows,
        "chunk": CHUNK,
        "metrics": [{"title": METRICS[k].heading, "digits": METRICS[k].digits} for k in metrics],
        "image": f"SSIM of {method_title(run.generated)}",
    }


def _cases(run: PageRun) -> pd.DataFrame:
    """Cases of Table 3, and of Table 2 without the generator that Table 3 has already."""
    table3, table2 = (read_cases(run.results / f"tables/{name}_cases.csv") for name in ("table3", "table2"))
    return pd.concat([table3, table2[table2["method"] != run.generated]], ignore_index=True)


def _organs(values: pd.DataFrame, methods: list[str]) -> list:
    """Rows of organ and, for each metric, the value of every method; None where it is not defined."""
    organs = []
    for organ, part in values.groupby("label", sort=False):
        by_method = part.droplevel("label").reindex(methods)
        organs.append([organ, *(by_method[metric].tolist() for metric in values.columns)])
    return organs


def _image_scores(run: PageRun) -> dict[str, float]:
    """Patient -> SSIM of the slices of the generator, for those that Table 1 scores."""
    path = run.results / "tables/table1_cases.csv"
    cases = read_cases(path) if path.is_file() else pd.DataFrame()
    if "ssim" not in cases:
        return {}
    return cases[cases["method"] == run.generated].groupby("patient")["ssim"].mean().to_dict()
