"""What made the run, and how it is cited."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pivm import __version__
from pivm.report.page.facts import PageRun

#: of the paper whose method this is, and of what else a run may rest on
PAPER = (
    "He D, Zhang B, Wang X, Hao Y, Yang D, Duan Y. PIVM: Diffusion-based prior-integrated variation modeling for "
    "anatomically precise abdominal CT synthesis."
)


def provenance_section(run: PageRun, folder: Path) -> dict:
    """Facts of the manifest as people read them; the manifest itself is copied beside the page.

    Args:
        run: that is shown.
        folder: of the page.
    """
    path = run.results / "manifest.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    shutil.copyfile(path, folder / "manifest.json")
    hardware, trainings = facts["hardware"], facts["duration_s"]["trainings"]
    return {
        "date": facts["date"],
        "duration": _duration(facts["duration_s"]["call"]),
        "rows": [
            ["Made", facts["date"].replace("T", " ").replace("Z", " UTC")],
            ["Commit", facts["commit"] or "not in a git checkout"],
            ["Last call of the workflow", _duration(facts["duration_s"]["call"])],
            ["All trainings together", _duration(sum(trainings.values()))],
            ["Processor", f"{hardware['processor']}, {hardware['cpus']} CPUs, {hardware['threads']} threads per job"],
            ["GPUs", ", ".join(hardware["gpus"]) or "none"],
            ["Versions", ", ".join(f"{name} {version}" for name, version in facts["versions_of_tables"].items())],
            ["Seeds", json.dumps(facts["seeds"])],
            ["SHA-256 of the split", facts["data"]["split"]],
            *([f"SHA-256 of {name}", digest] for name, digest in facts["data"]["slices"].items()),
        ],
        "models": [
            [name, made["code"], _duration(trainings.get(name)), made["versions"].get("torch", "")]
            for name, made in facts["models"].items()
        ],
        "config": json.dumps(facts["config"], indent=1),
        "cite": [PAPER, f"PIVM workflow, version {__version__}, commit {facts['commit'] or 'unknown'}."],
    }


def _duration(seconds: float | None) -> str:
    """Hours and minutes, or seconds where it was short.

    >>> _duration(4510), _duration(42.3), _duration(None)
    ('1 h 15 min', '42 s', 'not known')
    """
    if seconds is None:
        return "not known"
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
