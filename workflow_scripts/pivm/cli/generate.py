"""`pivm generate`: CTs from labels with a trained generator."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pivm.cli.command import DONE, EXIT_HELP, FAILED, SOME_FAILED, Command, add_ids, print_json, require
from pivm.errors import PivmError

if TYPE_CHECKING:
    from pivm.synthesis.inference import Anatomy, CTGenerator, SyntheticCT
    from pivm.synthesis.output import Wanted


def _options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXIT_HELP
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained generator")
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        nargs="+",
        help="NIfTI files that hold all labels, folders of masks <organ>.nii.gz as TotalSegmentator writes them, or a "
        "folder of such folders",
    )
    parser.add_argument("--out", type=Path, required=True, help="the CT to write, .nii.gz; or a folder for several")
    add_ids(parser)
    parser.add_argument(
        "--seed", type=int, nargs="+", default=[1], help="another seed gives another CT of the same labels"
    )
    parser.add_argument(
        "--layout",
        choices=["totalsegmentator", "nnunet"],
        default="totalsegmentator",
        help="of a folder --out, which holds the labels too",
    )
    parser.add_argument("--body", type=Path, help="mask of the patient's outline, in place of an estimated one")
    parser.add_argument("--any-region", action="store_true", help="also where the labels are of an untrained region")
    parser.add_argument(
        "--window",
        type=_window,
        metavar="A:B",
        help="of the axial slices only A up to but without B, counted from 0 at the feet; either may be left out",
    )
    parser.add_argument(
        "--organ",
        action="append",
        default=[],
        type=_organ_hu,
        metavar="NAME=HU",
        help="mean HU of an organ, as liver=95; may be given several times (generators with a prior per patient)",
    )
    parser.add_argument(
        "--like",
        type=Path,
        help="NIfTI file of a CT whose organs' mean HU are taken (generators with a prior per patient)",
    )
    parser.add_argument(
        "--like-labels", type=Path, help="labels of the CT of --like, where they are not those of --labels"
    )
    parser.add_argument("--preview", action="store_true", help="a PNG of each CT beside it")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace CTs that are there, also those of these inputs"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument(
        "--precision",
        default="auto",
        choices=["auto", "fp32"],
        help="auto: bf16 on a CPU with instructions for it; fp32: up to rounding the same CT on all of them",
    )
    parser.add_argument("--threads", type=int, help="CPU threads; 1 is fastest for small slices, and the default there")
    parser.add_argument("--json", action="store_true", help="say what was made as JSON")


def _organ_hu(text: str) -> tuple[str, float]:
    """``liver=95``."""
    name, _, hu = text.partition("=")
    try:
        return name, float(hu)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected an organ and its mean HU, as liver=95") from None


def _window(text: str) -> slice:
    """``40:80``, ``40:`` or ``:80``."""
    ends = text.split(":")
    if len(ends) != 2 or not all(end == "" or end.isdecimal() for end in ends):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected two numbers of slices, as 40:80, 40: or :80")
    return slice(*(int(end) if end else None for end in ends))


def _run(options: argparse.Namespace) -> int:
    # torch takes seconds, which --help and a typo should not cost
    import torch

    from pivm.learning.device import choose, inference_threads
    from pivm.synthesis.inference import CTGenerator
    from pivm.synthesis.output import find_subjects, model_files, plan_output

    if options.threads is not None and options.threads < 1:
        raise PivmError(f"--threads: found {options.threads}, expected 1 or more")
    if options.like_labels and not options.like:
        raise PivmError("--like-labels: these are the labels of the CT of --like, which is not given")
    if options.preview:
        require("pivm.report.preview", "workflow")
    seeds = list(dict.fromkeys(options.seed))
    plan = plan_output(find_subjects(options.labels), seeds, options.out, options.layout)
    if options.like and not options.like_labels and len({one.labels for one in plan}) > 1:
        raise PivmError("--like: with several --labels, give the labels of its CT with --like-labels")
    generator = CTGenerator(options.model, choose(options.device, "--device").type, options.precision)
    torch.set_num_threads(options.threads or inference_threads(generator.opened.trained_on.image_size))
    with logging_redirect_tqdm():
        results = _make_all(plan, generator, model_files(options.model), options)
    if options.json:
        print_json(results)
    failed = sum(one["status"] == "failed" for one in results)
    if len(plan) > 1 and not options.json:
        counts = {status: sum(one["status"] == status for one in results) for status in ("made", "kept", "failed")}
        print(f"{counts['made']} made, {counts['kept']} were there already, {counts['failed']} failed")
    return DONE if not failed else FAILED if failed == len(plan) else SOME_FAILED


def _make_all(
    plan: list[Wanted], generator: CTGenerator, model: dict[str, str], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One result per CT; labels of several seeds are read once, and one that fails ends no other."""
    results: list[dict[str, Any]] = []
    anatomy: Anatomy | None = None
    with tqdm(total=0, unit="slice", disable=None, file=sys.stderr) as bar:
        for i, wanted in enumerate(plan):
            bar.set_description(f"{wanted.name} ({i + 1} of {len(plan)})")
            one = {"name": wanted.name, "labels": str(wanted.labels), "seed": wanted.seed, "ct": str(wanted.ct)}
            try:
                facts = _facts_to_make(wanted, model, options)
                if facts is None:
                    one["status"] = "kept"
                else:
                    if anatomy is None or plan[i - 1].labels != wanted.labels:
                        anatomy = None  # of the last subject: makes room
                        anatomy = generator.read(
                            wanted.labels,
                            options.ids,
                            body=options.body,
                            any_region=options.any_region,
                            window=options.window or slice(None),
                        )
                        # with several labels they are the same for all
                        if (options.organ or options.like) and not generator.asked_for:
                            means = dict(options.organ), options.like, options.like_labels
                            generator.ask_for(*means, anatomy, options.ids)
                    one |= _make(wanted, anatomy, generator, facts, options, bar)
                text = _told(one)
            except (PivmError, OSError) as error:
                anatomy = None
                one |= {"status": "failed", "reason": str(error)}
                bar.write(f"Error: {error}", file=sys.stderr)
                text = ""
            results.append(one)
            if text and not options.json:
                bar.write(text, file=sys.stdout)
    return results


def _facts_to_make(wanted: Wanted, model: dict[str, str], options: argparse.Namespace) -> dict | None:
    """What the CT is made from; ``None`` where it is there already."""
    from pivm.synthesis.output import hash_of_labels, is_made, made_from

    if not wanted.labels.exists():
        raise PivmError(f"{wanted.labels}: no such file or folder")
    facts = made_from(wanted, model, options.ids, options.body, options.any_region)
    if options.organ or options.like:
        files = {"like": options.like, "like_labels": options.like_labels}
        facts["organ_hu"] = dict(options.organ)
        facts |= {key: hash_of_labels(path) for key, path in files.items() if path}
    if options.precision != "auto":
        facts["precision"] = options.precision
    if options.window:
        facts["window"] = [options.window.start, options.window.stop]
    return facts if options.overwrite or not is_made(wanted, facts) else None


def _make(
    wanted: Wanted,
    anatomy: Anatomy,
    generator: CTGenerator,
    facts: dict,
    options: argparse.Namespace,
    bar: tqdm,
) -> dict[str, Any]:
    from pivm.synthesis.output import write_output

    slices = len(anatomy.source.label_map)
    bar.reset(slices)
    ct = generator.make(anatomy, wanted.seed, bar.update)
    bar.update(slices - bar.n)
    write_output(wanted, ct, anatomy, generator.label_set, {"made_from": facts})
    made = {"status": "made", "shape": list(ct.hu.shape), "hu": [int(ct.hu.min()), int(ct.hu.max())]}
    made |= {"organs": list(ct.organs), "not_understood": list(ct.not_understood), "untrained": anatomy.untrained}
    if options.window:
        made["window"] = facts["window"]
    if options.preview:
        lowest = (options.window and options.window.start) or 0
        made["preview"] = str(_draw(wanted, ct, anatomy, generator, lowest))
    return made


def _draw(wanted: Wanted, ct: SyntheticCT, anatomy: Anatomy, generator: CTGenerator, lowest: int) -> Path:
    plot_preview = require("pivm.report.preview", "workflow").plot_preview  # a base installation draws nothing
    given, names, path = anatomy.given, generator.label_set.names, wanted.note.with_suffix(".png")
    plot_preview(given.stored.to_ras(ct.hu), given.label_map, names, f"{wanted.name}, synthetic", path, lowest)
    return path


def _told(one: dict[str, Any]) -> str:
    if one["status"] == "kept":
        return f"{one['ct']}: there already, made of the same model, labels and seed"
    where = "in the window" if one.get("window") else "on the grid"
    shape, (low, high) = " x ".join(map(str, one["shape"])), one["hu"]
    lines = [f"{one['ct']}: {shape} voxels, HU {low} to {high}, {where} of {one['labels']}"]
    lines.append(f"{len(one['organs'])} organs: {', '.join(one['organs'])}")
    if others := one["not_understood"]:
        lines.append(f"{len(others)} not known to the model, tissue without a label of its own: {', '.join(others)}")
    return "\n".join(lines)


COMMAND = Command("generate", "make CTs from labels with a trained generator", _options, _run)
