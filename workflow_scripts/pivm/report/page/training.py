"""Training curves of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pivm.report.page.facts import PageRun

#: points of a curve, evenly chosen from a longer one
POINTS = 200


def training_section(run: PageRun) -> list[dict]:
    """Every training of the run with its losses: ``name``, ``steps``, ``loss`` and ``validation``.

    Args:
        run: that is shown.
    """
    found = [
        path for folder in ("generators", "segmentation") for path in sorted((run.results / folder).rglob("losses.csv"))
    ]
    if not found:
        raise FileNotFoundError(2, "no training", str(run.results / "generators"))
    return [curve for path in found if (curve := _curve(path, run.results))]


def _curve(path: Path, results: Path) -> dict | None:
    """None for what is put together without training."""
    losses = pd.read_csv(path)
    if losses.empty:
        return None
    rows = losses.iloc[np.unique(np.linspace(0, len(losses) - 1, POINTS).round().astype(int))]
    return {
        "name": path.parent.relative_to(results).as_posix(),
        "steps": rows["step"].tolist(),
        "loss": rows["loss"].tolist(),
        "validation": rows["validation_loss"].tolist(),
    }
