"""The command `pivm`: one module per subcommand, each with a ``COMMAND`` (:class:`pivm.cli.command.Command`)."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import io
import logging
import sys

from pivm import __version__
from pivm.cli import check, doctor, generate, preview, pull, push, report
from pivm.cli.command import FAILED, INTERRUPTED, UNREACHABLE, Command
from pivm.errors import HubUnreachableError, PivmError

COMMANDS: tuple[Command, ...] = (
    generate.COMMAND,
    check.COMMAND,
    preview.COMMAND,
    report.COMMAND,
    doctor.COMMAND,
    push.COMMAND,
    pull.COMMAND,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: as in the shell, without the name of the command; ``None`` for those of this process.

    Returns:
        The exit status (:mod:`pivm.cli.command`).
    """
    parser = make_parser()
    if importlib.util.find_spec("argcomplete"):  # where it is installed: answers a shell that completes, and ends
        importlib.import_module("argcomplete").autocomplete(parser)
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a locale may know none of the letters in a path
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return options.run(options)
    except (PivmError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return UNREACHABLE if isinstance(error, HubUnreachableError) else FAILED
    except KeyboardInterrupt:
        print("Interrupted; what is finished is kept, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """The options of all commands."""
    parser = argparse.ArgumentParser("pivm", description="Synthetic abdominal CT from organ labels.")
    parser.add_argument("--version", action="version", version=f"pivm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        one = commands.add_parser(command.name, help=command.help, description=command.help)
        command.options(one)
        one.set_defaults(run=command.run)
    return parser
