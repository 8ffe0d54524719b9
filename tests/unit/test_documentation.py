"""The commands of README and docs are ones that Snakemake understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from pivm.labels import ORGANS_34
from snakemake.cli import parse_args

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    pytest.param(command, id=f"{page.name}: {command}")
    for page in PAGES
    for command in sorted(set(re.findall(r"(?:^|`)(snakemake [^`\n#|]+)", page.read_text(), flags=re.MULTILINE)))
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_is_understood(command, monkeypatch):
    """An option that takes several values, such as --resources, swallows a target that comes after it."""
    monkeypatch.chdir(ROOT)
    _, arguments = parse_args(shlex.split(command)[1:])
    assert all(re.fullmatch(r"[A-Za-z0-9/_.<>-]+", target) for target in arguments.targets)
    assert not [path for path in arguments.configfile or () if not str(path).endswith((".yaml", ".yml"))]


def test_the_organs_stand_in_the_documentation_in_their_order():
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    section = text.split("### Names and ids")[1].split("Understood are")[0].split("(`labels: 13`):")[1]
    assert tuple(re.findall(r"`(\w+)`", section)) == ORGANS_34
