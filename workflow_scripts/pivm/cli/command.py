"""What the subcommands share: their form, exit statuses, options, JSON and progress on the terminal."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from pivm.datasets.mappings import MAPPINGS
from pivm.errors import PivmError

#: exit statuses; 2 is that of a command line which is not understood
DONE, FAILED, SOME_FAILED, UNREACHABLE, INTERRUPTED = 0, 1, 3, 4, 130
EXIT_HELP = "exit status: 0 done, 1 nothing could be used, 2 wrong options, 3 some could not be used, 130 interrupted"
HUB_EXIT_HELP = "exit status: 0 done, 1 refused, 2 wrong options, 4 the hub does not answer, 130 interrupted"


class Command(NamedTuple):
    """A subcommand.

    Attributes:
        name: in the shell.
        help: one line.
        options: adds its options to a parser.
        run: does it; returns the exit status.
    """

    name: str
    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_ids(parser: argparse.ArgumentParser, own: str = "k = k-th of `organs` in its model.json") -> None:
    """The option ``--ids``: what the ids of a file with all labels mean."""
    parser.add_argument(
        "--ids",
        choices=["model", *MAPPINGS],
        help=f"what the ids of a single label file mean; needed where its header does not name them (model: {own})",
    )


def print_json(value: Any) -> None:
    """Write a value to standard output as JSON, for scripts."""
    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")


def require(module: str, extra: str) -> Any:
    """A module of an extra of this package.

    Raises:
        PivmError: it is not installed; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise PivmError(f"{error.name} is not installed: pip install 'pivm[{extra}]'") from None
