"""pyproject.toml, the lock and the conda environments agree, and code hashes follow the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pivm.code_hash import code_hash

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"pytorch": "torch"}


def lock() -> dict[str, str]:
    lines = (ROOT / "envs/requirements.lock").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def project() -> list[Requirement]:
    meta = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(r) for r in meta["dependencies"] + meta["optional-dependencies"]["test"]]


def test_every_pin_is_exact():
    for line in (ROOT / "envs/requirements.lock").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[^=+\s]+", line), line


@pytest.mark.parametrize("requirement", project(), ids=lambda r: r.name)
def test_the_lock_is_inside_the_ranges_of_the_project(requirement):
    assert requirement.specifier.contains(lock()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("env", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda p: p.stem)
def test_conda_pins_are_those_of_the_lock(env):
    entries = yaml.safe_load(env.read_text())["dependencies"]
    from_pip = [e for entry in entries if isinstance(entry, dict) for e in entry["pip"]]
    for entry in [e for e in entries if isinstance(e, str) and e != "pip"] + from_pip:
        name, version = re.split(r"\s*[=><]=\s*|\s+", entry.replace(" ==", " =="), maxsplit=1)
        if name == "python":
            continue
        assert version.lstrip("= ") == lock()[canonicalize_name(CONDA_NAMES.get(name, name))], entry


def test_the_lock_names_the_versions_that_the_readme_promises():
    pins = lock()
    assert (pins["torch"], pins["torchvision"], pins["snakemake"]) == ("2.13.0", "0.28.0", "9.27.1")


def test_every_dependency_has_its_reason():
    text = (ROOT / "docs/architecture.md").read_text()
    for requirement in project():
        assert f"`{requirement.name}`" in text, requirement.name


@pytest.fixture
def library(tmp_path):
    (tmp_path / "pivm").mkdir()
    (tmp_path / "pivm/__init__.py").write_text("")
    (tmp_path / "pivm/a.py").write_text(
        '"""Doc."""\nfrom pivm import b\n\n\ndef f():\n    """Doc."""\n    return b.g()\n'
    )
    (tmp_path / "pivm/b.py").write_text("def g():\n    return 1\n")
    (tmp_path / "pivm/c.py").write_text("x = 1\n")
    (tmp_path / "script.py").write_text("from pivm.a import f\n")

    def hash_now():
        import pivm.code_hash as module

        for cached in (module.code_hash, module._direct, module._normal_form, module._tree):
            cached.cache_clear()
        return code_hash(tmp_path / "script.py", tmp_path)

    return tmp_path / "pivm", hash_now


def test_the_hash_follows_imports_of_imports(library):
    folder, hash_now = library
    before = hash_now()
    (folder / "b.py").write_text("def g():\n    return 2\n")
    assert hash_now() != before


def test_the_hash_ignores_comments_docstrings_and_unused_modules(library):
    folder, hash_now = library
    before = hash_now()
    (folder / "a.py").write_text('"""Other."""\nfrom pivm import b\n\n\ndef f():\n    # why\n    return b.g()\n')
    (folder / "c.py").write_text("x = 2\n")
    assert hash_now() == before
