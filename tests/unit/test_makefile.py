"""`make tables` says what is wrong before Snakemake starts, and hands over what it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the Makefile beside an environment whose `snakemake` prints how it was called."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml", "envs/requirements.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    fake = tmp_path / ".venv/bin/snakemake"
    fake.write_text('#!/bin/sh\necho "called: $*"\necho "cache: $XDG_CACHE_HOME"\n')
    fake.chmod(0o755)
    (tmp_path / ".venv/.ready").touch()
    (tmp_path / "my.yaml").touch()
    return tmp_path


def make(folder: Path, *arguments: str, home: str = "") -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key not in ("XDG_CACHE_HOME", "MAKEFLAGS")}
    environment["HOME"] = home or str(folder)
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_config_targets_and_arguments_are_handed_over(folder):
    assert "called: --cores all --resources gpu=1 --\n" in make(folder, "tables").stdout
    done = make(folder, "tables", "CONFIG=my.yaml", "TARGETS=ablation", "ARGS=-n --quiet host")
    assert "called: --cores all --resources gpu=1 -n --quiet host --configfile my.yaml -- ablation\n" in done.stdout
    assert "cache: \n" in done.stdout
    assert "Note" not in done.stdout


def test_a_target_among_the_config_files_is_named(folder):
    done = make(folder, "tables", "CONFIG=my.yaml ablation")
    assert done.returncode != 0
    assert 'CONFIG: ablation: no such file; what to make is named by TARGETS="ablation"' in done.stdout
    assert "called" not in done.stdout


@pytest.mark.parametrize("home", ["/proc", "/dev/null"])
def test_a_home_that_cannot_be_written_is_no_obstacle(folder, home):
    for target in ("tables", "report"):
        done = make(folder, target, home=home)
        assert f"Note: {home}/.cache/snakemake cannot be written, the cache is in .snakemake/cache" in done.stdout
        assert f"cache: {folder}/.snakemake/cache\n" in done.stdout
