# pyright: basic, reportAssignmentType=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# visitors share one method for several nodes, and nodes are told apart by functions
"""Names that a statement uses, by Python's rules of scope, and the texts for people that count for no result."""

from __future__ import annotations

import ast
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


class Bound(NamedTuple):
    """What the alias of an import stands for: a module, or a name in it."""

    module: str
    name: str = ""


class Reference(NamedTuple):
    """A use of a name that is no local variable.

    Attributes:
        name: the name; attributes: those that follow it, ``a.b.c`` as (b, c).
        target: what it stands for where a function imports it; ``None``: look it up in the module.
    """

    name: str
    attributes: tuple[str, ...]
    target: Bound | None


def imports_of(node: ast.Import | ast.ImportFrom) -> dict[str, Bound]:
    """Alias -> what it stands for."""
    if isinstance(node, ast.Import):
        # `import a.b` binds a, of which a.b is an attribute
        return {
            a.asname or a.name.split(".")[0]: Bound(a.name if a.asname else a.name.split(".")[0]) for a in node.names
        }
    if node.module == "__future__":
        return {}
    return {a.asname or a.name: Bound(node.module, a.name) for a in node.names}


def loaded_by(node: ast.Import | ast.ImportFrom) -> set[Bound]:
    """The modules that an import loads, a name of a module where it may be a module itself."""
    if isinstance(node, ast.Import):
        return {Bound(alias.name) for alias in node.names}
    return set(imports_of(node).values())


def is_optional(node: ast.Try) -> bool:
    """Whether a ``try`` expects that a package may be missing."""
    return any("ImportError" in ast.dump(handler) for handler in node.handlers)


def is_type_checking(node: ast.AST) -> bool:
    """Whether a statement is ``if TYPE_CHECKING``, which never runs."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def is_for_people(name: str) -> bool:
    """Whether a name stands for advice in messages: by convention it ends in ``hint`` or ``hints``."""
    return name.lower().endswith(("hint", "hints"))


def message_call(node: ast.AST) -> bool:
    """Whether the arguments of a call are a text for people alone: an exception, a log entry, a warning, advice."""
    if not isinstance(node, ast.Call):
        return False
    callee = node.func
    name = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
    if name.endswith("Error") or is_for_people(name):
        return True
    if isinstance(callee, ast.Attribute) and isinstance(callee.value, ast.Name):
        return (callee.value.id in ("log", "logging") and name in _LOG_METHODS) or (
            callee.value.id == "warnings" and name == "warn"
        )
    return False


def raised_call(node: ast.Raise) -> ast.expr | None:
    """What a ``raise`` names: the exception without its arguments; leaving with a status is no message."""
    error = node.exc
    if isinstance(error, ast.Call) and ast.unparse(error.func) != "SystemExit":
        return error.func
    return error


def bound_names(node: ast.stmt) -> list[str]:
    """Names that a statement at module level defines or changes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return list(imports_of(node))
    if isinstance(node, ast.Expr):
        return []
    return sorted(_Bindings().of([node]))


class _Bindings(ast.NodeVisitor):
    """Names that statements bind in their own scope."""

    def of(self, nodes: list[ast.AST]) -> dict[str, set[Bound]]:
        """Name -> what the imports among the statements bind it to."""
        self.names: set[str] = set()
        self.outer: set[str] = set()
        self.targets: dict[str, set[Bound]] = {}
        for node in nodes:
            self.visit(node)
        return {name: self.targets.get(name, set()) for name in self.names - self.outer}

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.names.add(node.id)

    def visit_FunctionDef(self, node) -> None:
        self.names.add(node.name)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        pass

    def _comprehension(self, node) -> None:
        # its own variables stay inside; an assignment expression in it does not
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                self.names.add(inner.target.id)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Import(self, node) -> None:
        for alias, target in imports_of(node).items():
            self.names.add(alias)
            self.targets.setdefault(alias, set()).add(target)

    visit_ImportFrom = visit_Import

    def visit_Try(self, node: ast.Try) -> None:
        before = {name: set(targets) for name, targets in self.targets.items()}
        self.generic_visit(node)
        if is_optional(node):
            self.targets = before

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.names |= {node.name} - {None}
        self.generic_visit(node)

    def visit_MatchAs(self, node) -> None:
        self.names |= {node.name} - {None}
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.names |= {node.rest} - {None}
        self.generic_visit(node)

    def visit_Global(self, node) -> None:
        self.outer |= set(node.names)

    visit_Nonlocal = visit_Global


class Uses(ast.NodeVisitor):
    """References and imports of statements.

    Annotations of functions are left out: they are never evaluated. Those of fields of classes are kept.

    Args:
        messages: also visit the arguments of exceptions, log entries and warnings.
    """

    def __init__(self, messages: bool):
        self.messages = messages
        self.references: set[Reference] = set()
        self.imported: set[Bound] = set()
        #: local names of the functions around, innermost last, with what an import among them stands for
        self._scopes: list[dict[str, set[Bound]]] = []
        self._optional = self._in_class = False

    def visit(self, node: ast.AST) -> None:
        if is_type_checking(node):
            return
        if not self.messages and message_call(node):
            self.visit(node.func)
            return
        super().visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        if self.messages:
            self.generic_visit(node)
        elif node.exc:
            self.visit(raised_call(node))

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)
        if self.messages and node.msg:
            self.visit(node.msg)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._refer(node.id, ())

    def visit_Attribute(self, node: ast.Attribute) -> None:
        attributes, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            attributes.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._refer(inner.id, tuple(attributes))
        else:
            self.visit(inner)

    def _refer(self, name: str, attributes: tuple[str, ...]) -> None:
        if not self.messages and is_for_people(name):
            return
        scope = next((scope for scope in reversed(self._scopes) if name in scope), None)
        targets = {None} if scope is None else scope[name]
        self.references |= {Reference(name, attributes, target) for target in targets}

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        before, self._in_class = self._in_class, True
        self.generic_visit(node)
        self._in_class = before

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if self._in_class:
            quoted = isinstance(node.annotation, ast.Constant) and isinstance(node.annotation.value, str)
            self.visit(ast.parse(node.annotation.value, mode="eval") if quoted else node.annotation)
        self.visit(node.target)
        if node.value:
            self.visit(node.value)

    def _function(self, node) -> None:
        arguments = node.args
        for outside in (
            *getattr(node, "decorator_list", ()),
            *arguments.defaults,
            *filter(None, arguments.kw_defaults),
        ):
            self.visit(outside)
        body = node.body if isinstance(node.body, list) else [node.body]
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        before, self._in_class = self._in_class, False
        self._scopes.append({**{a.arg: set() for a in every if a}, **_Bindings().of(body)})
        for statement in body:
            self.visit(statement)
        self._scopes.pop()
        self._in_class = before

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

    def _comprehension(self, node) -> None:
        self.visit(node.generators[0].iter)
        self._scopes.append(
            {n.id: set() for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        )
        self.generic_visit(node)
        self._scopes.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _import(self, node) -> None:
        if not self._optional:
            self.imported |= loaded_by(node)

    visit_Import = visit_ImportFrom = _import

    def visit_Try(self, node: ast.Try) -> None:
        # a package that may be missing changes no result
        before, self._optional = self._optional, self._optional or is_optional(node)
        self.generic_visit(node)
        self._optional = before
