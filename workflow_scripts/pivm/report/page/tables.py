"""The tables of the page: means with intervals, what is told apart, and the notes that stand below them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.crossed import CrossedMean
from pivm.evaluation.pairs import PairedDifference
from pivm.evaluation.sentences import leaders
from pivm.evaluation.statistics import MetricSummary
from pivm.report.forms import method_title, read_notes
from pivm.report.method_table import difference_cells, difference_heading
from pivm.report.page.facts import PageRun
from pivm.report.words import TableFacts

#: metrics of an organ that the page draws, in the order of its switch
ORGAN_METRICS = ("dice", "hausdorff_distance_95", "average_surface_distance", "missed")


def read_summaries(table: Path, differences: Path) -> list[MetricSummary]:
    """A table and its paired differences as they were before they were written, but for what only notes say.

    Args:
        table: ``tables/<table>.csv``.
        differences: ``tables/<table>_differences.csv``.
    """
    tidy, pairs = pd.read_csv(table), pd.read_csv(differences)
    found = []
    for key in dict.fromkeys(tidy["metric"]):
        rows = tidy[(tidy["metric"] == key) & tidy["mean"].notna()]
        means = {row.method: _mean(row, row.mean) for row in rows.itertuples()}
        of_metric = [
            PairedDifference(
                row.method, row.reference, _mean(row, row.difference), _or_none(row.p), _or_none(row.p_holm)
            )
            for row in pairs[pairs["metric"] == key].itertuples()
        ]
        found.append(MetricSummary(METRICS[key], means, of_metric))
    return found


def _mean(row, value: float) -> CrossedMean:
    seeds = (int(getattr(row, "generator_seeds", 0)), int(getattr(row, "segmenter_seeds", 0)))
    low, high, sd = _or_none(row.ci_low), _or_none(row.ci_high), _or_none(getattr(row, "sd", None))
    return CrossedMean(value, low, high, sd, int(row.patients), *seeds, None, None, {}, ())


def _or_none(value: float | None) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def table_section(run: PageRun, table: str) -> dict:
    """Metrics as rows, methods as columns; below each metric the differences to the reference, as in the table itself.

    Args:
        run: that is shown.
        table: ``table1``, ``table2`` or ``table3``.
    """
    folder = run.results / "tables"
    summaries = read_summaries(folder / f"{table}.csv", folder / f"{table}_differences.csv")
    methods = list(dict.fromkeys(method for one in summaries for method in one.means))
    facts = TableFacts(run.level, run.references[table])
    rows = []
    for one in summaries:
        best = leaders(one, run.level)
        cells = [_cell(one, method, method in best) for method in methods]
        row = {"title": one.metric.heading, "better": one.metric.better, "cells": cells}
        if one.pairs:
            row["differences"] = {
                "title": difference_heading(facts),
                "cells": difference_cells(one, methods, facts),
            }
        rows.append(row)
    # names of files stand in backticks there
    caption, *notes = (text.replace("`", "") for text in read_notes(folder / f"{table}.md"))
    return {"columns": [method_title(m) for m in methods], "rows": rows, "caption": caption, "notes": notes}


def _cell(one: MetricSummary, method: str, best: bool) -> dict | None:
    """What a cell shows; None for a dash."""
    mean = one.means.get(method)
    if mean is None:
        return None
    ends = [one.metric.shown(end) for end in (mean.low, mean.high) if end is not None]
    return {"mean": one.metric.shown(mean.mean), "interval": f"[{', '.join(ends)}]" if ends else "", "best": best}


def organ_section(run: PageRun, table: str) -> dict:
    """Scores of every organ for the charts: means and ends of intervals as they are shown, and which organs are small.

    Args:
        run: that is shown.
        table: ``table2`` or ``table3``.
    """
    organs = pd.read_csv(run.results / f"tables/{table}_organs.csv")
    methods = list(dict.fromkeys(organs["method"]))
    metrics = []
    for key in ORGAN_METRICS:
        part = organs[organs["metric"] == key]
        factor, values = METRICS[key].factor, {}
        for row in part.itertuples():
            numbers = [None if pd.isna(v) else factor * v for v in (row.mean, row.ci_low, row.ci_high)]
            values.setdefault(row.organ, {})[method_title(row.method)] = numbers
        if values:
            unit_interval = METRICS[key].scale == "logit"
            metrics.append(
                {
                    "title": METRICS[key].heading,
                    "better": METRICS[key].better,
                    "digits": METRICS[key].digits,
                    "end": factor if unit_interval else None,
                    "organs": values,
                }
            )
    small = list(dict.fromkeys(organs.loc[organs["small"], "organ"]))
    return {"methods": [method_title(m) for m in methods], "metrics": metrics, "small": small}


def target_section(run: PageRun, table: str) -> dict | None:
    """What a table says that no run of the tables makes; None where its target was never asked for.

    Args:
        run: that is shown.
        table: ``evidence`` or ``privacy``, also the name of the target and of the figure.
    """
    folder = run.results / "tables"
    if not (folder / f"{table}.csv").is_file():
        return None
    caption, *notes = (text.replace("`", "") for text in read_notes(folder / f"{table}.md"))
    return {"caption": caption, "notes": notes}
