"""A hash of the library code that a stage uses, so that a result never outlives the code that made it.

Snakemake reruns a rule when its script changes, but not when a module that the script imports does.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path


@functools.cache
def code_hash(script: Path, root: Path, *modules: str) -> str:
    """Hash of a script's imported ``pivm`` modules, transitively; comments and docstrings do not count.

    Args:
        script: a file of ``workflow_scripts``; root: that folder;
        modules: modules that the script loads by name, such as the generator of a kind.
    """
    todo, seen = set(_direct(script, root)).union(*(_files(name, root) for name in modules)), set()
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo |= _direct(module, root) - seen
    digest = hashlib.sha256()
    for module in sorted(seen):
        digest.update(f"{module.relative_to(root)}\0{_normal_form(module)}\0".encode())
    return digest.hexdigest()[:16]


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _normal_form(path: Path) -> str:
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                node.body = body[1:]
    return ast.dump(tree)


@functools.cache
def _direct(path: Path, root: Path) -> frozenset[Path]:
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(p for name in names for p in _files(name, root))


def _files(name: str, root: Path) -> list[Path]:
    if name.split(".")[0] != "pivm":
        return []
    base = root.joinpath(*name.split("."))
    return [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
