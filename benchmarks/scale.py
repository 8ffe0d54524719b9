"""The data stage on many subjects: python benchmarks/scale.py [--subjects 120 1228] [--folder FOLDER]

Copies eight small phantom patients to so many subjects, runs the workflow from the scans to slice store, organ means
and the picture of the cohort on all cores, and prints the seconds per subject; then a run with nothing to do, and one
with one subject more. With `--cores-only` it measures instead what a second core brings: scans of realistic size
(256 x 256 x 300), prepared with `--cores 1` and with `--cores 2`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import data
import yaml
from common import ROOT
from pivm.datasets.phantom.scan import write_patient

TARGETS = ("store/index.csv", "prior.json", "figures/cohort.png", "cohort/labels.csv")


def run(folder: Path, name: str, cores: int, targets: tuple[str, ...], settings: dict) -> tuple[float, str]:
    """Seconds of one call of Snakemake on the data set in FOLDER/name, and what it printed.

    Raises:
        RuntimeError: Snakemake failed.
    """
    config = {
        "dataset": name,
        "datasets": {name: {"layout": "totalsegmentator", "path": str(folder / name)}},
        "results": str(folder / "results"),
        "split": {"source": "random"},
        **settings,
    }
    own = folder / f"{name}.yaml"
    own.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", str(own), "--quiet", "rules"]
    begin = time.perf_counter()
    done = subprocess.run(
        [*command, "--directory", str(folder / f"work_{name}"), "--snakefile", str(ROOT / "Snakefile")]
        + [f"{folder}/results/{name}/{target}" for target in targets],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    return time.perf_counter() - begin, done.stdout + done.stderr


def many(folder: Path, counts: list[int], cores: int) -> None:
    """Seconds per subject for each number of subjects, and for the runs after it."""
    settings = {"image": {"size": 32}, "selection": {"axial_slices": [5, 600]}}
    models = folder / "models"
    for index in range(8):
        if not (models / str(index)).exists():
            write_patient(models / str(index), index=index, seed=3, matrix=48, slice_spacing=12.0)
    each = {}
    for count in counts:
        name = f"subjects_{count}"
        for index in range(count):
            shutil.copytree(models / str(index % 8), folder / name / f"s{index:04d}", dirs_exist_ok=True)
        spent, _ = run(folder, name, cores, TARGETS, settings)
        idle, text = run(folder, name, cores, TARGETS, settings)
        if "Nothing to be done" not in text:
            raise RuntimeError(f"the second run worked: {text[-2000:]}")
        shutil.copytree(models / "0", folder / name / "s9999")
        more, _ = run(folder, name, cores, TARGETS, settings)
        each[count] = spent / count
        facts = {"subjects": count, "cores": cores, "seconds": round(spent, 1), "per subject": round(each[count], 3)}
        print(json.dumps({**facts, "nothing to do": round(idle, 1), "one more subject": round(more, 1)}), flush=True)
    if len(each) > 1:
        few, most = each[min(each)], each[max(each)]
        print(f"{max(each)} subjects against {min(each)}, seconds per subject: {most / few:.2f} x (bound: 1.3)")


def second_core(folder: Path, scans: int) -> None:
    """What two cores bring for scans of realistic size."""
    data.make_scan(folder / "one" / "typical", (256, 256, 300), (1.5, 1.5, 1.5))
    quality = {"left_right": "keep", "front_back": "keep", "up_down": "keep", "organ_hu": [-1000, 1000]}
    seconds = {}
    for cores in (1, 2, 1, 2):
        name = f"cores_{cores}_{len(seconds.get(cores, []))}"
        for index in range(scans):
            shutil.copytree(folder / "one" / "typical", folder / name / f"s{index:04d}")
        targets = tuple(f"subjects/s{index:04d}/record.json" for index in range(scans))
        spent, _ = run(folder, name, cores, targets, {"image": {"size": 256}, "quality": quality})
        seconds.setdefault(cores, []).append(spent)
    best = {cores: min(spent) for cores, spent in seconds.items()}
    print(json.dumps({"scans": scans, "seconds": {k: [round(s, 1) for s in v] for k, v in seconds.items()}}))
    print(f"one core over two, shortest of two runs each: {best[1] / best[2]:.2f} (bound: 1.8)")


def main(options: argparse.Namespace, folder: Path) -> None:
    if options.cores_only:
        second_core(folder, options.scans)
    else:
        many(folder, options.subjects, options.cores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, nargs="+", default=[120, 1228])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--cores-only", action="store_true")
    parser.add_argument("--scans", type=int, default=24, help="scans of the comparison of cores")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        main(options, options.folder.absolute())
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(options, Path(folder))
