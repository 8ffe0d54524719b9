# pyright: basic, reportOptionalMemberAccess=false, reportOptionalOperand=false, reportAttributeAccessIssue=false
# a symbol that was found has a file
"""What a script reaches of a library, read from the source with :mod:`ast`: nothing is imported or run.

A script reaches the functions, classes and module-level names that it uses, these reach what they use, and so on. Two
questions are answered from that: which packages must be installed where a script runs (``Reached.imported``), and which
definitions and packages a result depends on (``Reached.definitions``, ``Reached.used``;
:mod:`pivm.provenance.code_hash`).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from pivm.errors import PivmError
from pivm.provenance.uses import Bound, Reference, Uses, bound_names, imports_of, is_type_checking, loaded_by

#: imports that torch does for one of its modules
BEHIND = {"torch.utils.tensorboard": "tensorboard"}
#: of a module: the statements that run when it is imported and define nothing, and all that it holds
TOP, ALL = "", "*"
Symbol = tuple[str, str]  # module and name
#: what may be a relative import, or an import of all names: only then a file is searched node by node
UNPLAIN = re.compile(r"^\s*from\s*\.|\bimport\s*\*", re.MULTILINE)
#: statements that do nothing but define names
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign)


class Reached(NamedTuple):
    """What start symbols reach.

    Attributes:
        definitions: symbols of the library, those of the start among them.
        imported: packages outside library and standard library that are imported on the way, used or not.
        used: those of them that a reached definition names.
    """

    definitions: frozenset[Symbol]
    imported: frozenset[str]
    used: frozenset[str]


class Module:
    """One parsed file.

    Attributes:
        path: the file.
        symbols: name -> statements that define or change it; :data:`TOP` -> the statements with another effect.
        imports: alias -> what it stands for, of the imports outside functions.
        imported: what these imports load.
    """

    def __init__(self, path: Path, is_inside: Callable[[str], bool]):
        self.path = path
        self.symbols: dict[str, list[ast.stmt]] = {TOP: []}
        self.imports: dict[str, Bound] = {}
        self.imported: set[Bound] = set()
        self._is_inside = is_inside
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, str(path))
        if UNPLAIN.search(text):
            _require_plain_imports(tree, path)
        for statement in tree.body:
            self._add(statement)

    def _add(self, statement: ast.stmt) -> None:
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if text or is_type_checking(statement):
            return
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports |= imports_of(statement)
            self.imported |= loaded_by(statement)
            return
        names = bound_names(statement)
        if not names or not isinstance(statement, DEFINITIONS) or self._may_register(statement):
            self.symbols[TOP].append(statement)
        for name in names:
            self.symbols.setdefault(name, []).append(statement)
        if not isinstance(statement, DEFINITIONS):  # as `try: import ...`
            for node in ast.walk(statement):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    self.imports |= imports_of(node)

    def _may_register(self, statement: ast.stmt) -> bool:
        """Whether a function of the library is called on a definition: it may enter it into a table of the library."""
        calls = [d.func if isinstance(d, ast.Call) else d for d in getattr(statement, "decorator_list", ())]
        if isinstance(getattr(statement, "value", None), ast.Call):
            calls.append(statement.value.func)
        for callee in calls:
            root = callee
            while isinstance(root, ast.Attribute):
                root = root.value
            name = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
            alias = getattr(root, "id", "")
            inside = alias in self.imports and self._is_inside(self.imports[alias].module)
            if inside and name[:1].islower():
                return True
        return False


def _require_plain_imports(tree: ast.Module, path: Path) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                raise PivmError(f"{path}:{node.lineno}: relative import; write the full name of the module")
            if any(alias.name == "*" for alias in node.names):
                raise PivmError(f"{path}:{node.lineno}: import of *; name what is imported")


class Library:
    """The modules below a folder, each parsed once.

    Args:
        root: folder that holds the scripts and the package of the library.
    """

    def __init__(self, root: Path):
        self.root = Path(root)
        self._modules: dict[str, Module | None] = {}
        self._steps: dict[tuple[str, str, bool], tuple[frozenset[Symbol], frozenset[str], frozenset[str]]] = {}

    def module(self, name: str) -> Module | None:
        """The module of a dotted name; ``None`` where the library has none.

        Raises:
            PivmError: it holds a relative import; file and line are named.
        """
        if name not in self._modules:
            path = self._file(name)
            self._modules[name] = Module(path, lambda module: self._file(module) is not None) if path else None
        return self._modules[name]

    def _file(self, name: str) -> Path | None:
        base = self.root.joinpath(*name.split("."))
        return next((p for p in (base.parent / f"{base.name}.py", base / "__init__.py") if p.is_file()), None)

    def reach(
        self, start: Iterable[Symbol], messages: bool = True, without: frozenset[Symbol] = frozenset()
    ) -> Reached:
        """Follow symbols.

        Args:
            start: module and name; the name may be :data:`ALL`.
            messages: also follow what only serves a text for people, as the arguments of an exception.
            without: symbols that are not followed.

        Raises:
            PivmError: a relative import, or an import of a name that its module does not define.
        """
        todo, seen, imported, used = list(start), set(), set(), set()
        while todo:
            symbol = todo.pop()
            if symbol in seen or symbol in without:
                continue
            seen.add(symbol)
            following, needed, named = self._step(*symbol, messages)
            todo += following
            imported |= needed
            used |= named
        definitions = {s for s in seen if s[1] != ALL and s[1] in self.module(s[0]).symbols}
        return Reached(frozenset(definitions), frozenset(imported), frozenset(used))

    def statements(self, symbol: Symbol) -> list[ast.stmt]:
        """The statements behind a reached symbol."""
        return self.module(symbol[0]).symbols[symbol[1]]

    def lines(self, definitions: Iterable[Symbol]) -> int:
        """Number of lines of definitions, decorators included, without docstrings, on which no result depends."""
        covered: set[tuple[str, int]] = set()
        for module, name in definitions:
            for node in self.statements((module, name)):
                first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
                covered |= {(module, line) for line in range(first, node.end_lineno + 1)}
                for inner in ast.walk(node):
                    if isinstance(inner, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(inner) is not None:
                        text = inner.body[0]
                        covered -= {(module, line) for line in range(text.lineno, text.end_lineno + 1)}
        return len(covered)

    def _step(self, module: str, name: str, messages: bool):
        """Symbols that a symbol reaches at once, packages that it imports, and packages that it names."""
        key = (module, name, messages)
        if key not in self._steps:
            self._steps[key] = self._follow(self._require(module), module, name, messages)
        return self._steps[key]

    def _require(self, module: str) -> Module:
        found = self.module(module)
        if found is None:
            raise PivmError(f"{self.root}: no module {module}")
        return found

    def _follow(self, code: Module, module: str, name: str, messages: bool):
        symbols = self._imported_with(module)
        if name == ALL:
            return frozenset(symbols | {(module, symbol) for symbol in code.symbols}), frozenset(), frozenset()
        imported, used = set(), set()
        if name == TOP:
            for target in code.imported:
                self._import(target, symbols, imported)
        if name in code.imports:  # re-exported
            self._resolve(code.imports[name], (), symbols, used)
        elif name not in code.symbols:
            raise PivmError(f"{code.path}: does not define {name}, which is imported from there")
        uses = Uses(messages)
        for statement in code.symbols.get(name, ()):
            uses.visit(statement)
        for target in uses.imported:
            self._import(target, symbols, imported)
        for reference in uses.references:
            self._refer(code, module, reference, symbols, used)
        return frozenset(symbols - {(module, name)}), frozenset(imported), frozenset(used)

    def _imported_with(self, module: str) -> set[Symbol]:
        """A module and the packages around it: their statements run when it is imported."""
        parts = module.split(".")
        around = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
        return {(name, TOP) for name in around if self.module(name)}

    def _import(self, target: Bound, symbols: set[Symbol], imported: set[str]) -> None:
        names = [target.module, f"{target.module}.{target.name}"] if target.name else [target.module]
        inside = [name for name in names if self.module(name)]
        for name in inside:
            symbols |= self._imported_with(name)
        if not inside:
            imported |= _packages(names)

    def _refer(self, code: Module, module: str, reference: Reference, symbols: set[Symbol], used: set[str]) -> None:
        if reference.target:
            self._resolve(reference.target, reference.attributes, symbols, used)
            return
        if reference.name in code.symbols:
            symbols.add((module, reference.name))
        if reference.name in code.imports:
            self._resolve(code.imports[reference.name], reference.attributes, symbols, used)

    def _resolve(self, target: Bound, attributes: tuple[str, ...], symbols: set[Symbol], used: set[str]) -> None:
        """Add the symbol that an imported name with attributes stands for."""
        module, rest = target.module, [*([target.name] if target.name else []), *attributes]
        if not self.module(module):
            used |= _packages([module, f"{module}.{target.name}"])
            return
        while rest:
            code = self.module(module)
            if rest[0] in code.symbols or rest[0] in code.imports:
                symbols.add((module, rest[0]))
                return
            if not self.module(f"{module}.{rest[0]}"):
                break
            module = f"{module}.{rest.pop(0)}"
            symbols |= self._imported_with(module)
        if rest and rest[0] == target.name:
            raise PivmError(f"{self.module(module).path}: does not define {rest[0]}, which is imported from there")
        if not (rest and rest[0].startswith("__")):
            symbols.add((module, ALL))  # the module is handed on: anything of it may be used


def _packages(names: Iterable[str]) -> set[str]:
    names = list(names)
    top = {names[0].split(".")[0]} - sys.stdlib_module_names
    return top | {BEHIND[name] for name in names if name in BEHIND}
