# pyright: basic, reportAttributeAccessIssue=false
# nodes are told apart by functions
"""A hash of what a result depends on: the code that its script reaches and the packages that this code uses.

Snakemake reruns a rule when its script changes, but not when a function that the script calls does.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

from pivm.errors import PivmError
from pivm.provenance.reach import ALL, Library, Reached, Symbol
from pivm.provenance.uses import message_call, raised_call

#: writes logs and explains errors: no result depends on it
WITHOUT = frozenset({("pivm.job", "job")})
#: import name -> distribution, where they differ by more than upper case, ``-`` and ``_``
DISTRIBUTIONS = {"PIL": "pillow", "gdcm": "python-gdcm", "skimage": "scikit-image", "yaml": "pyyaml"}
#: fields of the syntax tree that change nothing at run time
_SILENT = {"ctx", "type_comment", "kind", "returns", "type_ignores"}


def reached_by(script: str, library: Library, symbols: Iterable[Symbol] = ()) -> Reached:
    """The definitions and packages that the results of a script depend on.

    Args:
        script: name of the script, without ``.py``.
        library: the library, with the scripts at its root.
        symbols: what the script finds by name, such as the generator of a kind.
    """
    return library.reach([(script, ALL), *symbols], messages=False, without=WITHOUT)


def code_hash(script: str, library: Library, pins: dict[str, str], symbols: Iterable[Symbol] = ()) -> str:
    """Hash of the definitions that a script reaches, in normal form, and of the versions of the packages they use.

    Comments, docstrings, formatting, annotations of functions and texts for people do not count
    (:func:`normal_form`).

    Args:
        script: name of the script, without ``.py``.
        library: the library, with the scripts at its root.
        pins: distribution -> version, as :func:`read_pins` gives them.
        symbols: what the script finds by name, such as the generator of a kind.

    Returns:
        16 hexadecimal digits.

    Raises:
        PivmError: a relative import, or a package that has no pin.
    """
    reached, digest = reached_by(script, library, symbols), hashlib.sha256()
    for module, name in sorted(reached.definitions):
        form = "\n".join(map(normal_form, library.statements((module, name))))
        digest.update(f"{module}\0{name}\0{form}\0".encode())
    for package in sorted(reached.used):
        digest.update(f"{package}=={version_of(package, pins)}\0".encode())
    return digest.hexdigest()[:16]


def read_pins(*locks: Path) -> dict[str, str]:
    """Distribution -> version of files of ``name==version`` lines, names in lower case with ``-``."""
    lines = (line.strip() for lock in locks for line in Path(lock).read_text(encoding="utf-8").splitlines())
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {_canonical(name): version for name, version in pairs}


def version_of(package: str, pins: dict[str, str]) -> str:
    """The locked version of an imported package.

    Raises:
        PivmError: it has none.
    """
    distribution = _canonical(DISTRIBUTIONS.get(package, package))
    if distribution not in pins:
        raise PivmError(f"envs/requirements.lock: no version of {distribution}, which provides `import {package}`")
    return pins[distribution]


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


@functools.cache
def normal_form(node: ast.AST) -> str:
    """A statement without what changes no result.

    Left out are docstrings, comments, formatting, annotations of functions, messages of ``raise`` and ``assert``,
    arguments of exceptions, log entries, warnings and advice, and the help texts of settings. Annotations of the fields
    of a class stay: dataclasses read them.
    """
    return _form(node)


def _form(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_form, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    if message_call(value):
        return f"Call({_form(value.func)})"
    if isinstance(value, ast.Raise):
        return f"Raise({_form(raised_call(value))})"
    if isinstance(value, ast.Assert):
        return f"Assert({_form(value.test)})"
    left_out = _SILENT | ({"annotation"} if isinstance(value, ast.arg) else set())
    fields = {name: field for name, field in ast.iter_fields(value) if name not in left_out}
    if isinstance(value, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        fields["body"] = value.body[1:] if ast.get_docstring(value, clean=False) is not None else value.body
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "setting":
        fields["args"] = value.args[1:]
        fields["keywords"] = [keyword for keyword in value.keywords if keyword.arg != "help"]
    return f"{type(value).__name__}({','.join(f'{name}={_form(field)}' for name, field in fields.items())})"
