"""A copy of the workflow in a folder of its own, and one finished smoke run that many tests look at."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


class Workflow:
    """A copy of the workflow that may be edited, run in its own folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        for name in ("Snakefile", "config.yaml"):
            shutil.copy(ROOT / name, folder)
        for name in ("rules", "workflow_scripts", "configs", "envs", "profiles"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))

    def overlay(self, name: str, content: dict) -> str:
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
        return f"{name}.yaml"

    def run(self, *arguments: str, configs: tuple[str, ...] = ("configs/smoke.yaml",)) -> subprocess.CompletedProcess:
        command = ["snakemake", "--cores", "2", "--configfile", *configs, *(["--", *arguments] if arguments else [])]
        return self._call(command)

    def dry_run(self, *configs: str) -> dict[str, list[str]]:
        """rule -> wildcards of the jobs that would run."""
        done = self._call(["snakemake", "-n", "--cores", "2", "--configfile", "configs/smoke.yaml", *configs])
        assert done.returncode == 0, done.stdout + done.stderr
        jobs, rule = {}, None
        for line in (done.stdout + done.stderr).splitlines():
            if line.startswith(("rule ", "localrule ")):
                rule = line.split()[1].rstrip(":")
                jobs.setdefault(rule, []).append("")
            elif rule and line.strip().startswith("wildcards:"):
                jobs[rule][-1] = line.split("wildcards:")[1].strip()
        return jobs

    def _call(self, command: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    return Workflow(tmp_path / "workflow")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """The whole chain on the miniature phantom; tests must not change its results."""
    workflow = Workflow(tmp_path_factory.mktemp("finished") / "workflow")
    done = workflow.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return workflow
