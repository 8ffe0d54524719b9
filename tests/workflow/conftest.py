"""A copy of the workflow in a folder of its own, and one finished smoke run that many tests look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parents[2]
WARM = Path(__file__).with_name("warm.py")

PARTS = ("Snakefile", "config.yaml", "rules", "workflow_scripts", "configs", "envs", "profiles")


class Workflow:
    """A copy of the workflow that may be edited, run in its own folder.

    With the variables of fixture ``warm``, Snakemake and its jobs are forked.
    """

    def __init__(
        self, folder: Path, source: Path = ROOT, parts: tuple[str, ...] = PARTS, warm: dict[str, str] | None = None
    ):
        self.folder, self.warm = folder, warm
        folder.mkdir(parents=True)
        for part in parts:
            if (source / part).is_dir():
                shutil.copytree(source / part, folder / part, ignore=shutil.ignore_patterns("*.egg-info"))
            else:
                shutil.copy(source / part, folder)

    @classmethod
    def at(cls, folder: Path, warm: dict[str, str]) -> Workflow:
        """The workflow that lies in a folder already."""
        workflow = cls.__new__(cls)
        workflow.folder, workflow.warm = folder, warm
        return workflow

    def twin(self, folder: Path) -> Workflow:
        """The same again with all its results, to be changed."""
        return Workflow(folder, self.folder, (*PARTS, "data", "results", ".snakemake"), self.warm)

    def overlay(self, name: str, content: dict) -> str:
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
        return f"{name}.yaml"

    def run(self, *arguments: str, configs: tuple[str, ...] = ("configs/smoke.yaml",)) -> subprocess.CompletedProcess:
        command = ["snakemake", "--cores", "2", "--configfile", *configs, *(["--", *arguments] if arguments else [])]
        return self._call(command)

    def dry_run(self, *configs: str, targets: tuple[str, ...] = ()) -> dict[str, list[str]]:
        """rule -> wildcards of the jobs that would run."""
        command = ["snakemake", "-n", "--cores", "2", "--configfile", "configs/smoke.yaml", *configs]
        done = self._call([*command, *(["--", *targets] if targets else [])])
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
        variables = {**os.environ, **(self.warm or {})}
        return subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=900, check=False
        )


@pytest.fixture(scope="session")
def warm() -> Iterator[dict[str, str]]:
    """Variables for runs whose processes are forked from one (``warm.py``); none where that is not safe."""
    if sys.platform != "linux":  # elsewhere a process that has used system libraries must not be forked
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="pivm") as folder:  # the path of a socket must be short
        path, python, snakemake, pivm = (Path(folder) / name for name in ("socket", "python", "snakemake", "pivm"))
        for file, script in ((python, ""), (snakemake, shutil.which("snakemake")), (pivm, shutil.which("pivm"))):
            file.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {WARM} start {script} "$@"\n')
            file.chmod(0o755)
        library = os.pathsep.join(filter(None, [str(ROOT / "workflow_scripts"), os.environ.get("PYTHONPATH")]))
        command, variables = [sys.executable, str(WARM), "serve", str(path)], {**os.environ, "PYTHONPATH": library}
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=variables) as server:
            deadline = time.monotonic() + 120
            while not path.exists():
                assert server.poll() is None, f"{WARM} serve ended with {server.returncode}"
                assert time.monotonic() < deadline
                time.sleep(0.05)
            programs = os.pathsep.join([folder, os.environ["PATH"]])
            yield {"PATH": programs, "PIVM_WARM_SOCKET": str(path), "PIVM_WARM_PYTHON": str(python)}
            server.communicate()


@pytest.fixture
def workflow(tmp_path: Path, warm) -> Workflow:
    return Workflow(tmp_path / "workflow", warm=warm)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id, warm) -> Workflow:
    """The whole chain on the miniature phantom; tests must not change its results.

    Where several processes test side by side, the first that asks runs the chain and the others wait; each gets a copy.
    """
    folder = tmp_path_factory.getbasetemp()
    if worker_id == "master":
        return _run_once(folder / "finished", warm)
    with FileLock(folder.parent / "finished.lock"):
        workflow = _run_once(folder.parent / "finished", warm)
        return workflow.twin(folder / "finished")


def _run_once(folder: Path, warm: dict[str, str]) -> Workflow:
    """The run in this folder, a Python for each job; one that failed is not tried again."""
    outcome = folder.with_name("finished.txt")
    if not outcome.exists():
        done = Workflow(folder).run()
        outcome.write_text(done.stdout + done.stderr if done.returncode else "")
    assert outcome.read_text() == ""
    return Workflow.at(folder, warm)
