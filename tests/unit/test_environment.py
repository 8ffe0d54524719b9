"""pyproject.toml, the lock and the conda environments agree, and code hashes follow the code."""

from __future__ import annotations

import functools
import itertools
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pivm.generators import KINDS
from pivm.provenance.code_hash import code_hash

from tests.imports import TOP, packages

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow_scripts"
CONDA_NAMES = {"pytorch": "torch"}


def lock() -> dict[str, str]:
    lines = (ROOT / "envs/requirements.lock").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def project() -> list[Requirement]:
    meta = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = {*meta["dependencies"], *itertools.chain.from_iterable(meta["optional-dependencies"].values())}
    return [requirement for requirement in map(Requirement, sorted(lines)) if requirement.name != "pivm"]


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


def rules() -> dict[str, tuple[str, str, bool]]:
    """rule -> script, environment, and whether it works with a generator of any kind."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^ *rule (?=\w+:)", path.read_text(), flags=re.M)[1:]:
            script = re.search(r'"../workflow_scripts/(\w+)\.py"', text)
            env = re.search(r'"../envs/(\w+)\.yaml"', text)
            if script:
                found[text.split(":")[0]] = (script[1], env[1], "generator_code(" in text)
    return found


@functools.cache
def installed(env: str) -> frozenset[str]:
    """Distributions of an environment, with those that they need."""
    entries = yaml.safe_load((ROOT / f"envs/{env}.yaml").read_text())["dependencies"]
    lines = [e for entry in entries for e in (entry["pip"] if isinstance(entry, dict) else [entry])]
    names = {re.split(r"[ =<>]", line)[0] for line in lines} - {"python", "pip"}
    todo, seen = {canonicalize_name(CONDA_NAMES.get(name, name)) for name in names}, set()
    while todo:
        name = todo.pop()
        seen.add(name)
        needs = map(Requirement, metadata.requires(name) or [])
        todo |= {canonicalize_name(r.name) for r in needs if not r.marker or r.marker.evaluate({"extra": ""})} - seen
    return frozenset(seen)


package_owners = functools.cache(metadata.packages_distributions)


def test_every_rule_with_a_script_names_its_environment():
    assert {script for script, _, _ in rules().values()} == {p.stem for p in SCRIPTS.glob("*.py")}


@pytest.mark.parametrize("rule", rules())
def test_an_environment_holds_what_the_scripts_of_its_rules_import(rule):
    script, env, any_kind = rules()[rule]
    start = [(script, TOP), *(KINDS.values() if any_kind else [])]
    reached, owners = packages(SCRIPTS, start), package_owners()
    lacking = {p for p in reached if not installed(env) & {canonicalize_name(o) for o in owners.get(p, [p])}}
    assert not lacking, f"envs/{env}.yaml lacks what workflow_scripts/{script}.py imports"


def test_imports_count_where_they_are_reached(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/__init__.py").write_text("import pandas\nfrom lib.a import first as again\n")
    (tmp_path / "lib/a.py").write_text(
        "import json\nimport numpy as np\nfrom lib import b\n"
        "def first(x: np.array):\n    import torch\n    return second()\n"
        "def second():\n    return b.third(Kind())\n"
        "def unused():\n    import scipy\n"
        "class Kind:\n    def method(self):\n        from monai.networks import x\n"
    )
    (tmp_path / "lib/b.py").write_text(
        "def third(kind):\n    try:\n        import tqdm\n    except ImportError:\n        pass\n    import yaml\n"
        "def fourth(x: third):\n    from torch.utils.tensorboard import SummaryWriter\n"
    )
    for name, text, expected in (
        ("one", "from lib.a import first\nfirst()", {"pandas", "numpy", "torch", "yaml", "monai"}),
        ("two", "from lib import again\nagain()", {"pandas", "numpy", "torch", "yaml", "monai"}),
        ("three", "from lib.a import second\nsecond()", {"pandas", "numpy", "yaml", "monai"}),
        ("four", "from lib import b as c\nc.fourth()", {"pandas", "numpy", "torch", "tensorboard"}),
        (
            "five",
            "def f():\n    from lib import b as c\n    return c\nf()",
            {"pandas", "numpy", "yaml", "torch", "tensorboard"},
        ),
    ):
        (tmp_path / f"{name}.py").write_text(text + "\n")
        assert packages(tmp_path, [(name, TOP)]) == expected, name


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
        import pivm.provenance.code_hash as module

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
