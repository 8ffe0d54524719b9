"""The run manifest: what made the models and the tables, resolved config, data fingerprint, seeds and hardware."""

from __future__ import annotations

import json
import os
import platform
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


def write_manifest(config: dict, split: Path, store: Path, models: dict[str, Path], path: Path) -> None:
    """Write the manifest as JSON.

    Args:
        config: as merged from all files.
        split: the split file.
        store: folder of the slice store.
        models: name -> ``model.json`` of what was trained or put together; code and versions are taken from there.
        path: the file to write.

    Raises:
        StateError: a model does not say what made it.
    """
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts = {
        "config": config,
        "seeds": {
            "run": config["seed"],
            "split": config["split"]["seed"],
            "segmentation": config["segmentation"]["seeds"],
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
            "system": platform.system(),
            "cpus": os.cpu_count(),
            "gpus": gpus,
        },
    }
    Path(path).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _made(folder: Path) -> dict:
    facts = load_facts(folder)
    if "made" not in facts:
        raise StateError(f"{folder}/model.json: does not say which code and versions made it; train the model again")
    return facts["made"]
