"""The run manifest: versions, resolved config, data fingerprint, seeds and hardware."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from pivm.learning.model_files import file_hash

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


def write_manifest(config: dict, split: Path, store: Path, path: Path) -> None:
    """Write the manifest as JSON.

    Args:
        config: as merged from all files; split: the split file; store: folder of the slice store.
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
        "versions": {"python": sys.version.split()[0], **{name: metadata.version(name) for name in PACKAGES}},
        "hardware": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cpus": os.cpu_count(),
            "gpus": gpus,
        },
    }
    Path(path).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
