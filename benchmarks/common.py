"""Shared by the benchmarks: the library on the path, made-up slices, Markdown rows; needs torch and numpy alone."""

from __future__ import annotations

import csv
import json
import platform
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from pivm.cohort.prior import Prior  # noqa: E402
from pivm.generators.training_data import TrainingData  # noqa: E402
from pivm.labels import ORGANS_34  # noqa: E402

#: cost of one slice with the authors' released network: GMAC per evaluation at 256 x 256, and evaluations
RELEASED_GMAC, RELEASED_EVALUATIONS = 342.0, 999


def made_up_prior() -> Prior:
    """A prior of the 34 organs, body and air with plausible numbers."""
    ids = len(ORGANS_34) + 2
    means = (-60.0, *np.linspace(-150, 300, ids - 2).tolist(), -1000.0)
    return Prior("body", ORGANS_34, ORGANS_34, means, (9,) * ids, 120.0, (30.0,) * ids, -400.0, 480.0, (-1024, 3000))


def made_up_slices(count: int, size: int, prior: Prior) -> TrainingData:
    """Random ellipses of every organ in a round body; each slice has one below."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = np.broadcast_to(x**2 + y**2 < 0.8, (count, size, size))
    labels = np.zeros((count, size, size), np.uint8)
    for image in labels:
        for k in range(1, len(prior.names) + 1):
            a, b = rng.uniform(-0.6, 0.6, 2)
            image[(x - a) ** 2 + (y - b) ** 2 < rng.uniform(0.005, 0.05)] = k
    hu = prior.map(prior.label_map(labels, body)) + rng.normal(0, 30, labels.shape)
    index = pd.DataFrame({"subject": ["made_up"] * count, "patient": ["made_up"] * count})
    store = SimpleNamespace(hu=hu.astype(np.int16), labels=labels, body=body, index=index)
    return TrainingData(store, prior, np.arange(count), np.arange(count) - 1)


def machine(device: torch.device) -> str:
    """The hardware and the software that a figure was measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return (
        f"{name}, {torch.get_num_threads()} CPU threads, torch {torch.__version__}, Python {platform.python_version()}"
    )


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def late_medians(losses: Path) -> dict[str, float | None]:
    """Medians over the second half of the ``stats.csv`` that a training wrote beside its losses."""
    with open(losses.with_name("stats.csv"), newline="") as stream:
        rows = list(csv.DictReader(stream))
    late = rows[len(rows) // 2 :]
    return {key: statistics.median(float(r[key]) for r in late) if late[0][key] else None for key in rows[0]}


def report(facts: dict) -> None:
    """Print facts as a Markdown row with its head, and as JSON."""
    print("| " + " | ".join(facts) + " |")
    print("| " + " | ".join("---" for _ in facts) + " |")
    print("| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in facts.values()) + " |")
    print(json.dumps(facts), flush=True)
