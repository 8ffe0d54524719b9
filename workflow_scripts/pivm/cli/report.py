"""`pivm report`: open the page of a finished run."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from pivm.cli.command import DONE, Command
from pivm.errors import PivmError

PAGE = Path("report/index.html")


def find_page(results: Path) -> Path:
    """The page of a run.

    Args:
        results: ``results/<dataset>``; or ``results`` where one data set alone has a page; or the page itself.

    Raises:
        PivmError: there is none, or there are several; says what to do.
    """
    if results.name == PAGE.name and results.is_file():
        return results
    if not results.is_dir():
        raise PivmError(f"{results}: no such folder, expected the results of a run, results/<dataset>")
    found = [results / PAGE] if (results / PAGE).is_file() else sorted(results.glob(f"*/{PAGE}"))
    if not found:
        raise PivmError(
            f"{results / PAGE}: no such file; the run makes it at its end: snakemake --cores all --resources gpu=1"
        )
    if len(found) > 1:
        raise PivmError(f"{results}: found several, name one: {', '.join(str(p.parent.parent) for p in found)}")
    return found[0]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, metavar="RESULTS", help="folder of a run, results/<dataset>")
    parser.add_argument("--no-browser", action="store_true", help="print the address of the page alone")


def _run(options: argparse.Namespace) -> int:
    address = find_page(options.results).resolve().as_uri()
    if not options.no_browser and not webbrowser.open(address):
        raise PivmError(f"no browser could be started; open {address}")
    print(address)
    return DONE


COMMAND = Command("report", "open the page of a finished run", _options, _run)
