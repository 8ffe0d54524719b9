"""pyproject.toml, the lock, the conda environments and the imports of the code agree."""

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
from pivm.datasets import layouts
from pivm.generators.kinds import kinds
from pivm.provenance.code_hash import DISTRIBUTIONS, read_pins, version_of
from pivm.provenance.reach import ALL, Library

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow_scripts"
EVALUATION = SCRIPTS / "pivm/evaluation"
#: of all, and of what an extra adds
LOCKS = [ROOT / "envs/requirements.lock", ROOT / "envs/nnunet.lock"]
CONDA_NAMES = {"pytorch": "torch"}
LIBRARY = Library(SCRIPTS)


def lock() -> dict[str, str]:
    lines = [line for path in LOCKS for line in path.read_text().splitlines()]
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def project() -> list[Requirement]:
    meta = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = {*meta["dependencies"], *itertools.chain.from_iterable(meta["optional-dependencies"].values())}
    return [requirement for requirement in map(Requirement, sorted(lines)) if requirement.name != "pivm"]


def test_every_pin_is_exact():
    for line in (line for path in LOCKS for line in path.read_text().splitlines()):
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


#: script -> the metrics that it finds by name and computes
METRICS_COMPUTED_BY = {
    script: [(f"pivm.evaluation.{package}.{path.stem}", ALL) for path in (EVALUATION / package).glob("[a-z]*.py")]
    for script, package in (("image_scores", "image_metrics"), ("test_segmenter", "segmentation_metrics"))
}


def rules() -> dict[str, tuple[str, str, bool, bool]]:
    """rule -> script, environment, whether it works with a generator of any kind, and with scans of any layout."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^ *rule (?=\w+:)", path.read_text(), flags=re.M)[1:]:
            script = re.search(r'"../workflow_scripts/(\w+)\.py"', text)
            env = re.search(r'"../envs/(\w+)\.yaml"', text)
            if script:
                found[text.split(":")[0]] = (script[1], env[1], "generator_code(" in text, "layout.module" in text)
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
        try:
            needs = map(Requirement, metadata.requires(name) or [])
        except metadata.PackageNotFoundError:
            if name != "nnunetv2":  # an extra of its own, which the lock leaves out
                raise
            continue
        todo |= {canonicalize_name(r.name) for r in needs if not r.marker or r.marker.evaluate({"extra": ""})} - seen
    return frozenset(seen)


package_owners = functools.cache(metadata.packages_distributions)


def test_every_rule_with_a_script_names_its_environment():
    assert {script for script, *_ in rules().values()} == {p.stem for p in SCRIPTS.glob("*.py")}


@pytest.mark.parametrize("rule", rules())
def test_an_environment_holds_what_the_scripts_of_its_rules_import(rule):
    script, env, any_kind, any_layout = rules()[rule]
    implementations = [tuple(kind.implementation.split(":")) for kind in kinds().values()]
    readers = [(layout.module, ALL) for layout in layouts().values()]
    start = [(script, ALL), *(implementations if any_kind else []), *(readers if any_layout else [])]
    start += METRICS_COMPUTED_BY.get(script, [])
    reached, owners = LIBRARY.reach(start).imported, package_owners()
    lacking = {p for p in reached if not installed(env) & {canonicalize_name(o) for o in owners.get(p, [p])}}
    assert not lacking, f"envs/{env}.yaml lacks what workflow_scripts/{script}.py imports"


def test_every_import_of_the_library_has_a_pin_of_the_package_that_provides_it():
    modules = [".".join(p.relative_to(SCRIPTS).with_suffix("").parts) for p in sorted(SCRIPTS.rglob("*.py"))]
    start = [(module.removesuffix(".__init__"), ALL) for module in modules]
    imported, pins = LIBRARY.reach(start).imported, read_pins(*LOCKS)
    assert pins == lock()
    assert {"torch", "PIL", "skimage"} <= imported
    for package in imported - {"nnunetv2"}:  # not installed beside the lock
        assert pins[canonicalize_name(DISTRIBUTIONS.get(package, package))] == version_of(package, pins)
        assert canonicalize_name(DISTRIBUTIONS.get(package, package)) in {
            canonicalize_name(owner) for owner in package_owners()[package]
        }
