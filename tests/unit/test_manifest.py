"""The manifest names what changes the last digits of a table, and what made it when."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from pivm.report import manifest
from pivm.report.manifest import processor, write_manifest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(tmp_path) -> dict:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    models = {}
    for name, seconds in (("generators/pivm/seed_1", 12.5), ("generators/prior/seed_1", None)):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps({"made": {"code": "c0de"}}))
        if seconds:
            (folder / "stats.csv").write_text(f"step,seconds\n1,3.0\n2,{seconds}\n")
        models[name] = folder / "model.json"
    (tmp_path / "store").mkdir()
    for name in ("split.csv", "store/hu.npy", "store/index.csv"):
        (tmp_path / name).write_text("x")
    write_manifest(
        config, tmp_path / "split.csv", tmp_path / "store", models, tmp_path / "manifest.json", time.time() - 60
    )
    return json.loads((tmp_path / "manifest.json").read_text())


def test_where_when_and_how_long(written):
    assert written["hardware"]["processor"] == processor() != ""
    assert written["hardware"]["threads"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", written["date"])
    assert 60 <= written["duration_s"]["call"] <= 120
    assert written["duration_s"]["trainings"] == {"generators/pivm/seed_1": 12.5}
    assert written["seeds"] == {
        "generators": [1],
        "split": 1,
        "segmentation": [1, 2, 3],
        "segmentation_of_controls": [1],
    }


def test_the_commit_is_that_of_the_checkout(tmp_path, monkeypatch):
    code = tmp_path / "pivm.py"
    code.write_text("1")
    monkeypatch.setattr(manifest, "__file__", str(code))

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    assert manifest._commit(tmp_path) is None
    git("init")
    assert manifest._commit(tmp_path) is None, "the code is no part of this repository"
    git("add", ".")
    git("commit", "-m", "x")
    assert manifest._commit(tmp_path) == git("rev-parse", "HEAD")
    code.write_text("2")
    assert manifest._commit(tmp_path) == f"{git('rev-parse', 'HEAD')}+changes"
    monkeypatch.setenv("PATH", "")
    assert manifest._commit(tmp_path) is None
