"""What a run ends with: where its tables are, and in one sentence whether synthetic slices helped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.sentences import signed
from pivm.report.forms import method_title
from pivm.report.words import Words

#: the metric that the verdict is of, where Table 3 has it; else its first one
METRIC = "dice"


def verdict(tables: Path, generated: str, level: float, words: Words) -> str:
    """Whether slices of a generator, added to the scans' own, make a better segmenter (Table 3).

    Args:
        tables: folder of the tables of a run.
        generated: the generator behind ``combined``.
        level: of the claim.
        words: of the scans.

    Returns:
        One sentence; empty where there is no Table 3, or its two columns have no score.
    """
    files = tables / "table3.csv", tables / "table3_differences.csv"
    if not all(file.is_file() for file in files):
        return ""
    tidy, differences = (pd.read_csv(file) for file in files)
    key = METRIC if METRIC in set(tidy["metric"]) else tidy["metric"].iloc[0]
    means = tidy[tidy["metric"] == key].set_index("method")["mean"]
    pairs = differences[(differences["metric"] == key) & (differences["method"] == "combined")]
    pairs = pairs[pairs["reference"] == "original"]
    if pairs.empty or means.loc[["original", "combined"]].isna().any():
        return ""
    pair, metric = pairs.iloc[0], METRICS[key]
    numbers = f"{metric.heading} {metric.shown(means['combined'])} against {metric.shown(means['original'])}"
    difference = signed(metric, pair["difference"])
    if pd.isna(pair["p_holm"]):
        said = "stand beside those from"
        difference += ", and one patient gives no test"
    else:
        better = (pair["difference"] > 0) == (metric.better == "higher")
        held = "are better than those from" if better else "are worse than those from"
        said = held if pair["p_holm"] <= 1 - level else "are not told apart from those from"
        difference += f" [{signed(metric, pair['ci_low'])}, {signed(metric, pair['ci_high'])}]"
    return (
        f"Segmenters from {words.adjective} and {method_title(generated)} slices together {said} {words.adjective} "
        f"slices alone: {numbers}, difference {difference}."
    )


def last_words(results: Path, generated: str, level: float, words: Words) -> str:
    """Where tables and page of a run are, and the verdict; a line each, of what there is.

    Args:
        results: folder of the run.
        generated: as in :func:`verdict`.
        level: likewise.
        words: likewise.
    """
    tables, page = sorted((results / "tables").glob("*.md")), results / "report" / "index.html"
    lines = [
        f"Tables: {results / 'tables'} ({', '.join(table.name for table in tables)})" if tables else "",
        f"Page: {page}" if page.is_file() else "",
        verdict(results / "tables", generated, level, words),
    ]
    return "\n".join(filter(None, lines))
