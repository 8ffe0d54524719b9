"""Imports run one way through the stages, without circles, and the root stays small."""

from __future__ import annotations

import ast
from pathlib import Path

LIBRARY = Path(__file__).parents[2] / "workflow_scripts/pivm"
#: what a stage may import: itself and what stands before it
ORDER = (
    *("errors", "seeds", "labels", "settings", "provenance", "scans", "datasets", "cohort", "learning"),
    *("generators", "synthesis", "segmentation", "evaluation", "report", "hub", "config", "job", "cli"),
)


def modules() -> dict[str, Path]:
    paths = sorted(LIBRARY.rglob("*.py"))
    return {".".join(p.relative_to(LIBRARY.parent).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}


def imports(path: Path, annotations: bool = True) -> set[str]:
    """Modules of the library that a file imports; with ``annotations`` also those for type checkers alone."""
    found, known, tree = set(), modules(), ast.parse(path.read_text())
    if not annotations:
        tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test))]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name for name in names if name in known and name != "pivm"}
    return found


def wing(module: str) -> str:
    return module.split(".")[1]


def test_imports_run_with_the_order_of_the_stages():
    against = [
        f"{module} imports {other}"
        for module, path in modules().items()
        if module != "pivm"
        for other in imports(path)
        if ORDER.index(wing(other)) > ORDER.index(wing(module))
    ]
    assert not against, against


def test_there_are_no_circles():
    edges = {module: imports(path, annotations=False) - {module} for module, path in modules().items()}
    done: set[str] = set()
    while free := [m for m in edges if m not in done and not (edges[m] - done - _parents(m))]:
        done.update(free)
    assert done == set(edges), sorted(set(edges) - done)


def _parents(module: str) -> set[str]:
    """Packages around a module, which Python imports before it."""
    parts = module.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts))}


def test_no_job_reads_the_config_behind_its_params():
    """What a job reads must be a param, so that a change of it reruns the job."""
    for path in sorted(LIBRARY.parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "config" and isinstance(node.value, ast.Name):
                assert node.value.id != "snakemake", f"{path}:{node.lineno}"


def test_the_root_holds_a_handful_of_modules():
    assert len(list(LIBRARY.glob("*.py"))) <= 8


def test_files_and_functions_stay_short():
    long = [
        f"{p.relative_to(LIBRARY)}: {n}" for p in modules().values() if (n := len(p.read_text().splitlines())) > 300
    ]
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (n := node.end_lineno - node.lineno + 1) > 60:
                long.append(f"{path.relative_to(LIBRARY)}:{node.name}: {n}")
    assert not long, long
