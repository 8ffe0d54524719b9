"""CPU and wall seconds of `pivm generate`: python benchmarks/generate.py MODEL LABELS [--other CHECKOUT]

The command runs in pairs, one after the other: as it is here, and as another checkout has it (`--other`) or with more
options (`--options="--precision fp32"`). Medians are printed with the ratio of the CPU seconds and the load of the
machine, and how far the two CTs are apart: voxels that differ, and for both the step along z inside the body.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from common import ROOT, machine, report


def seconds(checkout: Path, options: argparse.Namespace, out: Path, more: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of one command."""
    places = {"PYTHONPATH": str(checkout / "workflow_scripts"), "OMP_NUM_THREADS": str(options.threads)}
    command = [sys.executable, "-m", "pivm.cli", "generate", "--model", str(options.model)]
    command += ["--labels", str(options.labels), "--out", str(out), "--overwrite", "--threads", str(options.threads)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, *more], check=True, capture_output=True, env=os.environ | places)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


def step_hu(hu: np.ndarray) -> float:
    """Mean absolute step along z where both slices are above -500 HU."""
    inside = (hu[..., 1:] > -500) & (hu[..., :-1] > -500)
    return float(np.abs(np.diff(hu, axis=2))[inside].mean())


def main(options: argparse.Namespace) -> None:
    ways = {"here": (ROOT, []), "other": (options.other, options.options)}
    torch.set_num_threads(options.threads)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder) / f"{name}.nii.gz" for name in ways}
        for _ in range(options.repeats):
            for name, (checkout, more) in ways.items():
                spent[name].append(seconds(checkout.resolve(), options, places[name], more))
        volumes = {name: np.asarray(nib.load(place).dataobj).astype(int) for name, place in places.items()}
    facts: dict[str, object] = {"voxels": " x ".join(map(str, volumes["here"].shape))}
    for kind, column in (("CPU s", 0), ("wall s", 1)):
        for name, runs in spent.items():
            facts[f"{name}, {kind}"] = statistics.median(run[column] for run in runs)
    here, other = (statistics.median(cpu for cpu, _ in runs) for runs in spent.values())
    facts["ratio of CPU s"] = here / other
    facts["voxels that differ"] = float((volumes["here"] != volumes["other"]).mean())
    facts |= {f"step along z, {name}, HU": step_hu(hu) for name, hu in volumes.items()}
    facts["load"] = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    report(facts | {"machine": machine(torch.device("cpu"))})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--other", type=Path, default=ROOT, help="checkout of another version")
    parser.add_argument("--options", type=shlex.split, default=[], help="more options of the other")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    main(parser.parse_args())
