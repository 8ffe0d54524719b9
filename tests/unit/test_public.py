"""What `import pivm` and the command offer to people who do not read the source."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pivm
import pytest
from pivm import cli

ROOT = Path(__file__).parents[2]


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(ROOT / "workflow_scripts")}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_the_version_is_that_of_the_project(capsys):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert pivm.__version__ == version
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"pivm {version}\n"
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_public_names_are_there_and_no_others():
    from pivm.synthesis.inference import SyntheticCT, generate_ct

    assert pivm.generate_ct is generate_ct
    assert pivm.SyntheticCT is SyntheticCT
    assert set(pivm.__all__) <= set(dir(pivm))
    with pytest.raises(AttributeError, match="no attribute 'generate'"):
        _ = pivm.generate


def test_the_import_brings_neither_torch_nor_numpy():
    loaded = python("import sys, pivm; print(*sys.modules)").split()
    assert "pivm" in loaded
    assert {"torch", "numpy", "nibabel"}.isdisjoint(loaded)
