"""Dockerfile and Apptainer recipe make the same environment from files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
RECIPE = (ROOT / "containers/pivm.def").read_text()


def installed(text: str) -> list[str]:
    """What pip installs, without the name of its Python."""
    return re.findall(r"-m pip install (.*)", text)


def test_both_start_from_one_image_and_install_the_same():
    assert (
        re.search(r"^FROM (\S+)$", DOCKERFILE, re.MULTILINE)[1] == re.search(r"^From: (\S+)$", RECIPE, re.MULTILINE)[1]
    )
    assert installed(DOCKERFILE) == installed(RECIPE)
    assert "--requirement /opt/pivm/envs/requirements.lock" in installed(DOCKERFILE)[0]
    packages = [re.search(r"apt-get install (.*?)(?: \\)?$", text, re.MULTILINE)[1] for text in (DOCKERFILE, RECIPE)]
    assert packages[0] == packages[1]


def test_what_they_copy_exists():
    copied = re.findall(r"^COPY (\S+) ", DOCKERFILE, re.MULTILINE)
    copied += re.findall(r"^ {4}(\S+) /opt/pivm/\S+$", RECIPE.split("%files")[1].split("%post")[0], re.MULTILINE)
    assert len(copied) == 7
    assert [name for name in copied if not (ROOT / name).exists()] == []
