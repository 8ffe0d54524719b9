"""The benchmark of kills sees jobs, kills what it says, and names files that differ."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from benchmarks.kills import differing, jobs, kill


@pytest.fixture
def run(tmp_path):
    """A process with one job, as Snakemake starts it."""
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts/tmpab_1.train_generator.py"
    script.write_text("import time; time.sleep(60)\n")
    code = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, {str(script)!r}]).returncode != 0)"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        deadline = time.monotonic() + 20
        while not jobs(process) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield process
        process.kill()


@pytest.mark.parametrize(("what", "status"), [("group", -9), ("job", 1)])
def test_what_is_killed(run, what, status):
    assert "train_generator" in str(kill(run, what, random.Random(0)))
    assert run.returncode == status
    assert jobs(run) == []
    assert kill(run, what, random.Random(0)) is None


def test_files_that_differ_are_named(tmp_path):
    for run, score in (("whole", "1"), ("killed", "2")):
        for name in ("tables/table1.csv", "cohort/split.csv", "generators/maisi/seed_1/autoencoder/model.safetensors"):
            path = tmp_path / run / "results/phantom" / name
            path.parent.mkdir(parents=True)
            path.write_text(score if "table" in name else "same")
    (tmp_path / "whole/results/phantom/tables/table2.csv").write_text("1")
    assert differing(tmp_path / "whole", tmp_path / "killed") == (4, ["tables/table1.csv", "tables/table2.csv"])
    assert differing(tmp_path / "whole", tmp_path / "whole") == (4, [])
