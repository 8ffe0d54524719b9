"""Write the table of docs/reruns.md from dry runs: python docs/make_reruns.py FOLDER

FOLDER is a copy of the workflow in which `snakemake --configfile configs/smoke.yaml` has finished. Every change is made
there, followed by a dry run, and taken back. The table replaces what stands between ``<!-- reruns -->`` and
``<!-- /reruns -->``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import yaml

PAGE = Path(__file__).parent / "reruns.md"
LIBRARY = "workflow_scripts/pivm"


class Edit(NamedTuple):
    """A change of a text file: what ``pattern`` finds first becomes ``replacement``."""

    path: str
    pattern: str
    replacement: str


def _statement_in(path: str, function: str) -> Edit:
    return Edit(f"{LIBRARY}/{path}", rf"(?ms)^(def {function}\(.*?\).*?:\n)", r"\1    edited = True\n")


def _pin(package: str) -> Edit:
    return Edit("envs/requirements.lock", rf"(?m)^{package}==.*$", f"{package}==99.0")


#: change, as the page names it -> the edit, or the keys that are laid over the config
CHANGES: dict[str, Edit | dict] = {
    "a docstring (`learning/loop.py`)": Edit(f"{LIBRARY}/learning/loop.py", r'(\n +""")(?=\w)', r"\1Now: "),
    "an error message (`require_split` in `cohort/split.py`)": Edit(
        f"{LIBRARY}/cohort/split.py", r'(raise StateError\(\s*f")(?=\{purpose\})', r"\1Now: "
    ),
    "the code of a figure (`plot_panel` in `report/panel.py`)": _statement_in("report/panel.py", "plot_panel"),
    "`outline_from_labels` in `scans/outline.py`": _statement_in("scans/outline.py", "outline_from_labels"),
    "the training loop (`train` in `learning/loop.py`)": _statement_in("learning/loop.py", "train"),
    "learning rate of `cddpm`": {"generators": {"cddpm": {"overrides": {"training": {"learning_rate": 2.0e-3}}}}},
    "`diffusion.sampler.steps`": {"diffusion": {"sampler": {"steps": 4}}},
    "`synthesis.batch`": {"synthesis": {"batch": 4}},
    "`segmentation.steps`": {"segmentation": {"steps": 13}},
    "`segmentation.real_slices`": {"segmentation": {"real_slices": 4}},
    "`segmentation.test_batch`": {"segmentation": {"test_batch": 4}},
    "`tables.confidence`": {"tables": {"confidence": 0.9}},
    "`tables.image_window`": {"tables": {"image_window": [-100, 300]}},
    "`compute.compile`, `graphs`, `devices`, `launcher`, `tensorboard`": {
        "compute": {
            "compile": False,
            "graphs": False,
            "devices": 2,
            "launcher": "torchrun",
            "tensorboard": False,
        }
    },
    "`compute.precision`": {"compute": {"precision": "bf16"}},
    "one more patient": {"datasets": {"phantom": {"patients": 6}}},
    "`split.seed`": {"split": {"seed": 2}},
    "version of `matplotlib` in `envs/requirements.lock`": _pin("matplotlib"),
    "version of `nibabel`": _pin("nibabel"),
    "version of `torch`": _pin("torch"),
}


def jobs_of(folder: Path, *configs: str) -> Counter[str]:
    """Rule -> number of jobs that a dry run would do.

    Raises:
        RuntimeError: Snakemake refuses the workflow.
    """
    command = ["snakemake", "-n", "--cores", "2", "--configfile", "configs/smoke.yaml", *configs]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return Counter(re.findall(r"(?m)^(?:local)?rule (?!all:)(\w+):", done.stdout + done.stderr))


def jobs_after(change: Edit | dict, folder: Path) -> Counter[str]:
    """What a dry run would do after a change, which is taken back."""
    if isinstance(change, Edit):
        path = folder / change.path
        text = path.read_text(encoding="utf-8")
        edited = re.sub(change.pattern, change.replacement, text, count=1)
        if edited == text:
            raise RuntimeError(f"{change.path}: nothing like {change.pattern}")
        try:
            path.write_text(edited, encoding="utf-8")
            return jobs_of(folder)
        finally:
            path.write_text(text, encoding="utf-8")
    overlay = folder / "change.yaml"
    overlay.write_text(yaml.safe_dump(change), encoding="utf-8")
    try:
        return jobs_of(folder, overlay.name)
    finally:
        overlay.unlink()


def table(folder: Path) -> str:
    """The table in Markdown: one row per change."""
    lines = ["| change | jobs that run again, of how many |", "| --- | --- |"]
    every = jobs_of(folder, "--forceall")
    for name, change in CHANGES.items():
        jobs = jobs_after(change, folder)
        cells = [f"`{rule}` {count} of {max(count, every[rule])}" for rule, count in jobs.items()]
        lines.append(f"| {name} | {_all_of(jobs, every) or ', '.join(sorted(cells)) or 'none'} |")
    return "\n".join(lines)


def _all_of(jobs: Counter[str], every: Counter[str]) -> str:
    """The shorter form for a change that leaves little out."""
    if sum(jobs.values()) < sum(every.values()) * 0.6:
        return ""
    left_out = [f"`{rule}` {jobs[rule]} of {n}" for rule, n in sorted(every.items()) if jobs[rule] < n]
    return "all, but " + ", ".join(left_out)


def main(folder: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    block = f"<!-- reruns -->\n\n{table(folder)}\n\n<!-- /reruns -->"
    PAGE.write_text(
        re.sub("<!-- reruns -->.*?<!-- /reruns -->", lambda _: block, text, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
