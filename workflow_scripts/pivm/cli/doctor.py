"""`pivm doctor`: whether this machine can run a config, and how long its trainings will take."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import shutil
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from pivm import __version__
from pivm.cli.command import DONE, EXIT_HELP, FAILED, Command, print_json, require

if TYPE_CHECKING:
    from pivm.datasets.listing import Listing

PACKAGES = ("torch", "numpy", "nibabel", "diffusers", "monai", "snakemake", "segmentation-models-pytorch", "pydicom")
_GIB, _MIB = 2**30, 2**20
#: of the processor time of a run on a CPU, what is no training: 27 of 111 min of the default run
REST = 0.24


def _options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXIT_HELP
    parser.add_argument(
        "--config", type=Path, nargs="+", default=[], help="files as after --configfile of the workflow"
    )
    parser.add_argument(
        "--cores", type=int, help="as --cores of the workflow; all that there are where it is not given"
    )
    parser.add_argument("--target", choices=("all", "evidence"), default="all", help="whose trainings are counted")
    parser.add_argument("--no-steps", action="store_true", help="do not time training steps")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def machine(results: Path) -> dict[str, Any]:
    """Versions, processors, GPUs, memory and disk."""
    import torch

    psutil, place = require("psutil", "workflow"), results.absolute()
    while not place.exists():
        place = place.parent
    versions = {"pivm": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    memory = psutil.virtual_memory()
    return {
        "versions": versions,
        "processors": len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "memory_gib": memory.total / _GIB,
        "memory_free_gib": memory.available / _GIB,
        "gpus": [{"name": gpu.name, "memory_gib": gpu.total_memory / _GIB} for gpu in gpus],
        "disk_free_gib": shutil.disk_usage(place).free / _GIB,
    }


def listing_of(config: dict[str, Any]) -> Listing | None:
    """The subjects of the data set, by which ``auto`` is settled in the config; ``None`` where it is not there yet."""
    from pivm.config.data import settle
    from pivm.datasets import Dataset

    dataset = Dataset(config["dataset"], config["datasets"][config["dataset"]])
    if dataset.to_fetch():
        return None
    listing = dataset.listing()
    settle(config, dataset, listing)
    return listing


def training_slices(config: dict[str, Any], listing: Listing) -> int:
    """Slices of the training patients, at most; those beyond ``split.annotated`` count, as they do in an epoch."""
    scans = sum(bool(subject.ct) for subject in listing.subjects.values())
    held = sum(n if n >= 1 else round(n * scans) for n in (config["split"]["val"], config["split"]["test"]))
    return max(scans - held, 1) * config["selection"]["slices_per_scan"]


def training_jobs(config: dict[str, Any], slices: int) -> list[dict[str, Any]]:
    """The trainings of the default target.

    Args:
        config: the checked config.
        slices: of the training patients.

    Returns:
        ``network`` as :func:`pivm.cli.measure.trainings` names it, ``jobs`` and ``steps`` of each.
    """
    from pivm.config import generator_seeds, table_generators
    from pivm.config.training_sets import judges, training_sets

    names = dict.fromkeys([*table_generators(config), config["tables"]["generated"]])
    rows = [row for name in names for row in generator_jobs(config, name, len(generator_seeds(config, name)), slices)]
    columns = [*table_generators(config), "original", config["tables"]["generated"], "combined"]
    sets = {one.folder: one for name in columns for one in training_sets(config, name)}
    sets |= {one.folder: one for one in judges(config)}
    jobs = sum(len(one.segmenter_seeds) for one in sets.values())
    return [*rows, {"network": "segmenter", "jobs": jobs, "steps": config["segmentation"]["steps"]}]


def generator_jobs(config: dict[str, Any], name: str, jobs: int, slices: int) -> list[dict[str, Any]]:
    """Rows of so many trainings of one generator; none where there is nothing to train."""
    from pivm.config import generator_settings, kind_named

    kind, settings = kind_named(config, name), generator_settings(config, name)
    if kind.rules == "maisi" and not settings.weights:
        stages = ("autoencoder", "diffusion", "controlnet")
        return [{"network": f"{name}/{s}", "jobs": jobs, "steps": getattr(settings, s).steps} for s in stages]
    if not kind.learnt or kind.rules == "maisi":
        return []
    training = settings.training
    return [{"network": name, "jobs": jobs, "steps": training.epochs * -(-slices // training.batch)}]


def evidence_jobs(config: dict[str, Any], slices: int, listing: Listing) -> list[dict[str, Any]]:
    """The trainings of the target ``evidence``: generators and segmenters of all draws, as in :func:`training_jobs`."""
    from pivm.config.data import has_subjects_without_ct
    from pivm.config.evidence import points

    found = points(config, has_subjects_without_ct(listing))
    trained = {(place, one.generator, one.generator_seed) for place, _, _, one in found if one.generator}
    rows = []
    for name in dict.fromkeys(generator for _, generator, _ in sorted(trained)):
        rows += generator_jobs(config, name, sum(generator == name for _, generator, _ in trained), slices)
    steps: Counter[int] = Counter()
    for *_, one in found:
        steps[one.overrides["steps"]] += len(one.segmenter_seeds)
    return [*rows, *({"network": "segmenter", "jobs": jobs, "steps": n} for n, jobs in steps.items())]


def disk_gib(config: dict[str, Any], slices: int) -> float:
    """Slices on disk, at most: prepared and stored ones with the slice below each, and the synthetic ones."""
    from pivm.config import table_generators

    pixels = config["image"]["size"] ** 2
    asked = config["synthesis"]["slices"]
    synthetic = len(table_generators(config)) * (asked if isinstance(asked, int) else slices)
    bytes_per_pixel = 4  # int16 HU, uint8 labels, bool outline
    return pixels * bytes_per_pixel * (4 * slices + synthetic) / _GIB


def estimate(config: dict[str, Any], facts: dict[str, Any], rows: list[dict[str, Any]], cores: int) -> dict[str, Any]:
    """Time the networks and multiply; adds ``step_seconds`` and ``minutes`` to the rows."""
    import torch

    from pivm.cli.measure import trainings
    from pivm.learning.device import choose

    device, threads = choose(config["compute"]["device"], "compute.device"), config["compute"]["threads"]
    names = [name for name in config["generators"] if any(row["network"].split("/")[0] == name for row in rows)]
    memory, on_gpu = 0.0, 0.0
    with (
        contextlib.redirect_stdout(io.StringIO()),  # MONAI writes its log there, which says nothing here
        tqdm(total=len(rows), unit="network", disable=None, file=sys.stderr) as bar,
    ):
        for name, measured in trainings(config, names, device, threads):
            for row in rows:
                if row["network"] == name:
                    row["step_seconds"] = measured.step_seconds
                    row["minutes"] = row["jobs"] * row["steps"] * measured.step_seconds / 60
            memory, on_gpu = max(memory, measured.memory_mib), max(on_gpu, measured.gpu_memory_mib or 0.0)
            bar.update()
    at_once = 1 if device.type == "cuda" else max(min(cores, facts["processors"]) // threads, 1)
    minutes = sum(row.get("minutes", 0.0) for row in rows)
    longest = max(row["minutes"] / row["jobs"] for row in rows if "minutes" in row)
    found = {"device": str(device), "jobs_at_once": at_once, "training_minutes": minutes}
    found |= {"shortest_minutes": max(minutes / at_once, longest), "job_memory_gib": memory / 1024}
    if device.type == "cuda":
        found["gpu_memory_gib"] = on_gpu / 1024
        found["gpu_memory_total_gib"] = torch.cuda.get_device_properties(device).total_memory / _GIB
    return found


def misfits(facts: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What of the config does not fit this machine."""
    wrong = []
    if found["disk_gib"] > facts["disk_free_gib"]:
        wrong.append(f"disk: {found['disk_gib']:.1f} GiB of slices, but {facts['disk_free_gib']:.1f} GiB are free")
    need = found.get("job_memory_gib", 0.0) * found.get("jobs_at_once", 1)
    if need > facts["memory_free_gib"]:
        wrong.append(
            f"memory: {found['jobs_at_once']} trainings at once take {need:.1f} GiB, but only "
            f"{facts['memory_free_gib']:.1f} GiB are free; run with fewer --cores"
        )
    return wrong


def _run(options: argparse.Namespace) -> int:
    require("pandas", "workflow")
    from pivm.cli.config_files import read_config

    config = read_config(options.config)
    facts, listing = machine(Path(config["results"])), listing_of(config)
    cores = options.cores or facts["processors"]
    found: dict[str, Any] = {"machine": facts, "trainings": [], "misfits": []}
    if listing is not None:
        slices = training_slices(config, listing)
        rows = evidence_jobs(config, slices, listing) if options.target == "evidence" else training_jobs(config, slices)
        found |= {"training_slices": slices, "disk_gib": disk_gib(config, slices), "trainings": rows}
        if not options.no_steps:
            found |= estimate(config, facts, rows, cores)
        found["misfits"] = misfits(facts, found)
    if options.json:
        print_json(found)
    else:
        _tell(found)
    return FAILED if found["misfits"] else DONE


def _tell(found: dict[str, Any]) -> None:
    facts = found["machine"]
    print(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    gpus = (
        ", ".join(f"{gpu['name']} ({gpu['memory_gib']:.0f} GiB)" for gpu in facts["gpus"]) or "none that torch can use"
    )
    print(f"processors {facts['processors']}; GPU: {gpus}")
    print(
        f"memory {facts['memory_gib']:.1f} GiB, free {facts['memory_free_gib']:.1f}; "
        f"disk free {facts['disk_free_gib']:.1f} GiB"
    )
    if "disk_gib" not in found:
        print("the data set is not there yet, so slices and trainings cannot be counted")
        return
    print(f"up to {found['training_slices']} training slices; slices on disk up to {found['disk_gib']:.2f} GiB")
    print("\nnetwork                     jobs    steps   s/step   minutes")
    for row in found["trainings"]:
        timed = f"{row['step_seconds']:8.3f} {row['minutes']:9.1f}" if "minutes" in row else "       -         -"
        print(f"{row['network']:<26} {row['jobs']:>5} {row['steps']:>8} {timed}")
    if "training_minutes" in found:
        print(
            f"\ntrainings: {found['training_minutes']:.0f} min on {found['device']}, with {found['jobs_at_once']} at "
            f"once {found['shortest_minutes']:.0f} min or more; reading scans, synthesis, scores and tables come "
            f"on top: where they take as large a part as in the default run on a CPU ({100 * REST:.0f} %), the whole "
            f"run takes {found['training_minutes'] / (1 - REST):.0f} min of processor time"
        )
        if facts["load"] and facts["load"] > facts["processors"] / 2:
            print(f"other work runs here (load {facts['load']:.1f}): the run takes longer while it does")
    for wrong in found["misfits"]:
        print(f"Does not fit: {wrong}")


COMMAND = Command("doctor", "say whether this machine can run a config, and how long it takes", _options, _run)
