"""Which packages a script can import, read from the source: nothing is run.

A script reaches the functions and classes that it names, these reach what they name, and so on; imports count where
they are reached. So `pivm.job` brings torch to the jobs that ask for a device and to no other.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

#: imports that torch does for one of its modules
BEHIND = {"torch.utils.tensorboard": "tensorboard"}
#: of a module: what runs when it is imported, and all that it defines
TOP, ALL = "", "*"
Symbol = tuple[str, str]  # module and name


def packages(root: Path, start: Iterable[Symbol]) -> set[str]:
    """Import names of all packages outside ``root`` and the standard library that symbols reach."""
    todo, seen, found = list(start), set(), set()
    while todo:
        symbol = todo.pop()
        if symbol in seen:
            continue
        seen.add(symbol)
        for module, name in _uses(root, *symbol):
            if _file(root, module):
                parents = module.split(".")[:-1]
                todo += [(module, name), *((".".join(parents[:n]), TOP) for n in range(1, len(parents) + 1))]
            elif module.split(".")[0] not in sys.stdlib_module_names:
                found |= {module.split(".")[0], *([BEHIND[module]] if module in BEHIND else [])}
    return found


def _file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


@functools.cache
def _symbols(path: Path) -> dict[str, list[ast.AST]]:
    """Name -> the nodes of its definition; what is no function or class runs with the module."""
    symbols: dict[str, list[ast.AST]] = {TOP: []}
    for node in ast.parse(path.read_text()).body:
        name = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else TOP
        symbols.setdefault(name, []).extend(_running([node]))
    return symbols


@functools.cache
def _uses(root: Path, module: str, name: str) -> frozenset[Symbol]:
    path, found = _file(root, module), set()
    symbols = _symbols(path)
    outer, nodes = _imports(symbols[TOP]), symbols.get(name, [])
    if name == ALL:
        return frozenset((module, symbol) for symbol in symbols)
    if name not in symbols:  # a constant, or imported there for others to import from there
        return frozenset(target for alias, target in outer if alias == name)
    own = _imports(nodes)
    for _, (target, inner) in own:
        found |= {(target, TOP)} | {(f"{target}.{inner}", TOP)} if _file(root, f"{target}.{inner}") else {(target, TOP)}
    bases = {node.value for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.value in bases:
            places = [target for alias, target in own + outer if alias == node.value.id]
            found |= {(f"{target}.{inner}".rstrip("."), node.attr) for target, inner in places}
        elif isinstance(node, ast.Name) and node not in bases:
            found |= {(module, node.id)} if node.id in symbols else set()
            for target in (target for alias, target in own + outer if alias == node.id):
                # a module that is handed on: anything of it may be used
                found.add((f"{target[0]}.{target[1]}", ALL) if _file(root, f"{target[0]}.{target[1]}") else target)
    # a package that is used was imported, which is counted above
    return frozenset((m, n) for m, n in found if n == TOP or _file(root, m))


def _imports(nodes: list[ast.AST]) -> list[tuple[str, Symbol]]:
    """Alias and what it stands for, of every import."""
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [(a.asname or a.name.split(".")[0], (a.name, TOP)) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(a.asname or a.name, (node.module, a.name)) for a in node.names]
    return found


def _running(body: list[ast.AST]) -> Iterator[ast.AST]:
    """All nodes but annotations, `if TYPE_CHECKING` and `try` with `except ImportError`."""
    for node in body:
        guarded = isinstance(node, ast.Try) and any("ImportError" in ast.dump(h) for h in node.handlers)
        if guarded or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            continue
        yield node
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                values = value if isinstance(value, list) else [value]
                yield from _running([v for v in values if isinstance(v, ast.AST)])
