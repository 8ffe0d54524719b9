"""`pip install pivm` is what `pivm generate` needs, and each extra what its part of the library needs besides."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pivm.cohort.prior import Prior
from pivm.generators.kinds import kinds
from pivm.generators.model_folder import TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.provenance.reach import ALL, TOP, Library
from pivm.settings import plain

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "workflow_scripts"
MAISI = "pivm.generators.maisi.generator"


def modules(folder: str) -> list[str]:
    """Dotted names of the modules of a folder of the library."""
    paths = sorted((LIBRARY / folder).rglob("*.py"))
    return [".".join(p.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__init__") for p in paths]


#: extra -> what of the library must run with it. Training is no part of `pivm generate`, so of the kinds that the base
#: must hold only the imports count here; test_generate_runs_on_the_base_packages_alone runs them.
STARTS = {
    "": [
        ("pivm.cli", TOP),
        ("pivm.cli.generate", "_run"),
        ("pivm.cli.report", "_run"),
        *((m, TOP) for folder in ("diffusion", "controls") for m in modules(f"pivm/generators/{folder}")),
    ],
    "dicom": [(m, ALL) for m in modules("pivm/datasets/dicom")],
    "hub": [("pivm.cli.push", "_run"), ("pivm.cli.pull", "_run")],
    "maisi": [(MAISI, TOP), (MAISI, "MaisiGenerator")],
    "all": [(script.stem, ALL) for script in sorted(LIBRARY.glob("*.py"))],
}


@functools.cache
def installed(extra: str) -> frozenset[str]:
    """Distributions that `pip install pivm[extra]` brings, from pyproject.toml and the packages' own metadata."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    todo = [(Requirement(line), "") for line in project["dependencies"] + extras.get(extra, [])]
    found: set[tuple[str, str]] = set()
    while todo:
        requirement, outer = todo.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": outer}):
            continue
        for inner in ("", *requirement.extras):
            if (name, inner) in found:
                continue
            found.add((name, inner))
            if name == "pivm":
                todo += [(Requirement(line), "") for line in extras.get(inner, [])]
            else:
                todo += [(Requirement(line), inner) for line in metadata.requires(name) or []]
    return frozenset(name for name, _ in found)


@functools.cache
def owners() -> dict[str, list[str]]:
    """Package -> distributions that bring it; backports of what Python itself has (argparse) are Python's."""
    return {
        package: list(map(canonicalize_name, names))
        for package, names in metadata.packages_distributions().items()
        if package not in sys.stdlib_module_names
    }


@pytest.mark.parametrize("extra", STARTS)
def test_an_installation_holds_what_its_part_of_the_library_imports(extra):
    reached = Library(LIBRARY).reach(STARTS[extra]).imported
    assert reached
    reached -= {"nnunetv2"}  # an extra of its own, asked for by name
    lacking = {package for package in reached if not installed(extra) & set(owners().get(package, [package]))}
    assert not lacking


@pytest.mark.parametrize("extra", ["dicom", "maisi"])
def test_an_extra_is_needed_by_its_part(extra):
    reached = Library(LIBRARY).reach(STARTS[extra]).imported
    assert {p for p in reached if not installed("") & set(owners().get(p, [p]))}


BLOCKED = """
import importlib.machinery, json, sys

class InstalledAlone(importlib.machinery.PathFinder):
    absent = frozenset(json.loads(sys.argv[1]))

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in cls.absent else super().find_spec(name, path, target)

sys.meta_path[:] = [InstalledAlone if f is importlib.machinery.PathFinder else f for f in sys.meta_path]
from pivm.cli import main
for kind in sys.argv[2:]:
    files = ["--labels", "labels.nii.gz", "--out", f"{kind}.nii.gz"]
    assert main(["generate", "--model", kind, *files, "--ids", "model"]) == 0, kind
"""
PRIOR = Prior(
    "body", ("liver",), ("liver",), (-1000.0, 60.0, -100.0), (9,) * 3, 60.0, (9.0,) * 3, 0.0, 99.0, (-1024, 300)
)
KINDS = {
    "prior_map": {},
    "gaussian": {},
    "diffusion": {
        "target": "variation",
        "condition": ["labels", "prior", "previous"],
        "network": {"label_channels": 4, "channels": [16, 24], "blocks": 1, "attention": True, "detail_channels": 16},
        "noise": {"steps": 100, "prediction": "v", "zero_terminal_snr": True, "shift": 1.0, "scale": "global"},
    },
}
SAMPLER = {"steps": 2, "previous_from": 1.0}
MADE = {"code": "0" * 16, "versions": {}}


def write_model(kind: str, folder: Path) -> None:
    shared = {**KINDS[kind], "sampler": SAMPLER} if kind == "diffusion" else {}
    entry = {"kind": kind, **{key: shared.pop(key) for key in ("target", "condition") if key in shared}}
    settings = kinds()[kind].resolve(kind, entry, shared)
    generator = kinds()[kind].load()(settings, PRIOR, torch.device("cpu"))
    if kind == "gaussian":
        moments = ("mean", "between", "within", "blur")
        generator.put({name: torch.ones(PRIOR.classes, dtype=torch.float64) for name in moments}, folder)
    save_generator(generator, folder, TrainedOn(("p",), 1, 32, {}), MADE)
    write_sampler(folder, plain(getattr(settings, "sampler", {})))


def test_generate_runs_on_the_base_packages_alone(tmp_path):
    for kind in KINDS:
        write_model(kind, tmp_path / kind)
    labels = np.zeros((32, 32, 4), np.uint8)
    labels[8:20, 8:20] = 1
    nib.save(nib.Nifti1Image(labels, np.diag([3.0, 3.0, 5.0, 1.0])), tmp_path / "labels.nii.gz")
    absent = [p for p, names in owners().items() if not installed("") & set(names) and p != "pivm"]
    assert {"pandas", "snakemake", "monai", "pydicom"} <= set(absent)
    command = [sys.executable, "-c", BLOCKED, json.dumps(absent), *KINDS]
    environment = {"PYTHONPATH": str(LIBRARY)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    for kind in KINDS:
        assert nib.load(tmp_path / f"{kind}.nii.gz").shape == labels.shape
