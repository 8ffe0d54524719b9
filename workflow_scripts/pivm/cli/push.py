"""`pivm push`: a model folder to the hub, with its card and without patients."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pivm import __version__
from pivm.cli.command import DONE, HUB_EXIT_HELP, Command, print_json, require
from pivm.errors import PivmError

if TYPE_CHECKING:
    from pivm.hub.publication import Publication


def _options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = HUB_EXIT_HELP
    parser.add_argument("model", type=Path, metavar="MODEL_FOLDER", help="folder of a trained generator, with its card")
    parser.add_argument("repository", metavar="REPO_ID", help="owner/name on the hub; made where it is missing")
    parser.add_argument("--private", action="store_true", help="only the owners of the repository may see it")
    parser.add_argument("--revision", help="branch, made where it is missing; else the main one")
    parser.add_argument("--message", help="of the commit")
    parser.add_argument("--license", help="identifier of the hub, as cc-by-4.0; else that the training data decide")
    parser.add_argument("--yes", action="store_true", help="do not ask before anything is sent")
    parser.add_argument("--json", action="store_true", help="say what was uploaded as JSON")


def _run(options: argparse.Namespace) -> int:
    require("huggingface_hub", "hub")
    from pivm.hub.publication import prepare_publication
    from pivm.hub.remote import endpoint, publish, require_token

    publication = prepare_publication(options.model, options.repository, options.license)
    require_token()
    for line in _plan(publication):
        print(line, file=sys.stderr)
    if not options.yes:
        _ask(f"Upload to {options.repository} at {endpoint()}, {'private' if options.private else 'for all to see'}?")
    message = options.message or f"{publication.opened.settings.name}, by pivm {__version__}"
    done = publish(publication.files, options.repository, options.private, options.revision, message)
    if options.json:
        print_json({**done, "files": list(publication.files), "left_out": list(publication.left_out)})
    else:
        print(done["url"])
    return DONE


def _plan(publication: Publication) -> list[str]:
    lines = [f"{', '.join(publication.files)}: {publication.size / 1e6:.1f} MB"]
    if publication.left_out:
        lines.append(f"left out of model.json: {', '.join(publication.left_out)}")
    if publication.stays:
        lines.append(f"stays here: {', '.join(publication.stays)}")
    return lines


def _ask(question: str) -> None:
    """Raises PivmError where the answer is not yes, or no one is there to answer."""
    if not sys.stdin.isatty():
        raise PivmError(f"{question} No one is there to answer: give --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # standard output is for the result
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise PivmError("nothing was uploaded")


COMMAND = Command("push", "upload a model folder to the hub, without patients", _options, _run)
