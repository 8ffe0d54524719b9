"""The run manifest: what made models and tables, when and where, resolved config, data fingerprint and seeds."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

from pivm.errors import StateError
from pivm.learning.model_files import file_hash, load_facts

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "nibabel",
    "snakemake",
    "diffusers",
    "segmentation-models-pytorch",
    "pandas",
    "matplotlib",
)


def write_manifest(
    config: dict, split: Path, store: Path, models: dict[str, Path], path: Path, started: float | None = None
) -> None:
    """Write the manifest as JSON.

    Args:
        config: as merged from all files.
        split: the split file.
        store: folder of the slice store.
        models: name -> ``model.json`` of what was trained or put together; code and versions are taken from there.
        path: the file to write.
        started: when the call of the workflow was started, seconds since 1970, where that is known.

    Raises:
        StateError: a model does not say what made it.
    """
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    now = time.time()
    trainings = {name: _seconds(Path(file).parent) for name, file in models.items()}
    facts = {
        "config": config,
        "commit": _commit(Path(__file__).parent),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "duration_s": {
            "call": None if started is None else round(now - started),
            "trainings": {name: seconds for name, seconds in trainings.items() if seconds is not None},
        },
        "seeds": {
            "generators": config["generator_seeds"],
            "split": config["split"]["seed"],
            "segmentation": config["segmentation"]["seeds"],
            "segmentation_of_controls": config["segmentation"]["control_seeds"],
        },
        "data": {
            "split": file_hash(split),
            "slices": {p.name: file_hash(p) for p in sorted(Path(store).iterdir()) if p.suffix in (".npy", ".csv")},
        },
        "models": {name: _made(Path(file).parent) for name, file in models.items()},
        "versions_of_tables": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
        "hardware": {
            "machine": platform.machine(),
            "processor": processor(),
            "threads": config["compute"]["threads"],
            "system": platform.system(),
            "cpus": os.cpu_count(),
            "gpus": gpus,
        },
    }
    Path(path).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def processor() -> str:
    """The processor's name, which decides the last digits of sums."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    with contextlib.suppress(OSError):
        named = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        if named.stdout.strip():
            return named.stdout.strip()
    return platform.processor() or platform.machine()


def _commit(folder: Path) -> str | None:
    """The commit of the checkout that a folder lies in, with ``+changes`` where files differ; None without git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # a copy without its history may lie in another repository
    if not git("ls-files", __file__):
        return None
    changes = git("status", "--porcelain", "--untracked-files=no", ":/")
    return f"{git('rev-parse', 'HEAD')}{'+changes' if changes else ''}"


def _seconds(folder: Path) -> float | None:
    """How long a training took, its time before a kill included; None for what is not trained."""
    path = folder / "stats.csv"
    if not path.is_file():
        return None
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return float(rows[-1]["seconds"]) if rows else None


def _made(folder: Path) -> dict:
    facts = load_facts(folder)
    if "made" not in facts:
        raise StateError(f"{folder}/model.json: does not say which code and versions made it; train the model again")
    return facts["made"]
