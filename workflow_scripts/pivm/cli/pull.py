"""`pivm pull`: a model folder from the hub, checked before anything uses it."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from pivm.cli.command import DONE, HUB_EXIT_HELP, Command, print_json, require
from pivm.errors import StateError


def _options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = HUB_EXIT_HELP
    parser.add_argument("repository", metavar="REPO_ID", help="owner/name on the hub")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the model folder to make; must not be there yet")
    parser.add_argument("--revision", help="branch, tag or commit; else the main branch")
    parser.add_argument("--json", action="store_true", help="say what the model can do as JSON")


def _run(options: argparse.Namespace) -> int:
    require("huggingface_hub", "hub")
    from pivm.hub.arrival import abilities, check_arrival, part_folder, settle, wanted_files
    from pivm.hub.remote import download, find_snapshot

    part = part_folder(options.folder)
    snapshot = find_snapshot(options.repository, options.revision)
    download(snapshot, wanted_files(snapshot), part)
    try:
        can = abilities(check_arrival(part, snapshot))
    except StateError:
        shutil.rmtree(part)  # the same files would come again
        raise
    settle(part, options.folder)
    origin = {"folder": str(options.folder), "repository": snapshot.repository, "commit": snapshot.commit}
    if options.json:
        print_json({**origin, **can})
    else:
        print("\n".join(_told(origin, can)))
    return DONE


def _told(origin: dict[str, str], can: dict[str, Any]) -> list[str]:
    lines = [
        f"{origin['folder']}: {can['generator']} ({can['kind']}) of {origin['repository']}, {origin['commit'][:12]}"
    ]
    lines.append(f"{len(can['labels'])} labels: {', '.join(can['labels'])}")
    if can["never_seen"]:
        lines.append(f"not trained for, and so unlabelled tissue: {', '.join(can['never_seen'])}")
    lines.append(f"slices of {can['pixels']} x {can['pixels']} pixels; a CT on a finer grid is interpolated")
    if step := can["step_mm"]:
        lines.append(
            f"learnt from slices {step['median']:.3g} mm apart (four in five scans: {step['low']:.3g} to "
            f"{step['high']:.3g})"
        )
    lines.append(f"pivm generate --model {origin['folder']} --labels ... --out ...")
    return lines


COMMAND = Command("pull", "download a model folder from the hub and check it", _options, _run)
