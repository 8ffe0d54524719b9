"""The command `pivm`: a CT from labels with a trained generator."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from pathlib import Path

from pivm import __version__
from pivm.datasets.mappings import MAPPINGS
from pivm.errors import DataError, PivmError


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: as in the shell, without the name of the command; ``None`` for those of this process.

    Returns:
        The exit status, 1 where something could not be used.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a locale may know none of the letters in a path
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _generate(options)
    except (PivmError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pivm", description="Synthetic abdominal CT from organ labels.")
    parser.add_argument("--version", action="version", version=f"pivm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    generate = commands.add_parser("generate", help="make a CT from labels with a trained generator")
    generate.add_argument("--model", type=Path, required=True, help="folder of a trained generator")
    generate.add_argument(
        "--labels",
        type=Path,
        required=True,
        help="NIfTI file that holds all labels, or a folder of masks <organ>.nii.gz as TotalSegmentator writes them",
    )
    generate.add_argument("--out", type=Path, required=True, help="the CT to write, .nii.gz")
    generate.add_argument(
        "--ids",
        choices=["model", *MAPPINGS],
        help="what the ids of a single label file mean; needed where its header does not name them "
        "(model: k = k-th of `organs` in its model.json)",
    )
    generate.add_argument("--seed", type=int, default=1, help="another seed gives another CT of the same labels")
    generate.add_argument(
        "--organ",
        action="append",
        default=[],
        type=_organ_hu,
        metavar="NAME=HU",
        help="mean HU of an organ, as liver=95; may be given several times (generators with a prior per patient)",
    )
    generate.add_argument(
        "--like",
        type=Path,
        help="NIfTI file of a CT whose organs' mean HU are taken (generators with a prior per patient)",
    )
    generate.add_argument(
        "--like-labels", type=Path, help="labels of the CT of --like, where they are not those of --labels"
    )
    generate.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    return parser


def _organ_hu(text: str) -> tuple[str, float]:
    """``liver=95``."""
    name, _, hu = text.partition("=")
    try:
        return name, float(hu)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected an organ and its mean HU, as liver=95") from None


def _generate(options: argparse.Namespace) -> None:
    # torch takes seconds, which --help and a typo should not cost
    from pivm.learning.device import choose
    from pivm.synthesis.inference import generate_ct, require_nifti_name

    require_nifti_name(options.out)
    device = choose(options.device, "--device").type
    if options.like_labels and not options.like:
        raise DataError("--like-labels: these are the labels of the CT of --like, which is not given")
    ct = generate_ct(
        options.model,
        options.labels,
        ids=options.ids,
        seed=options.seed,
        device=device,
        organ_hu=dict(options.organ),
        like=options.like,
        like_labels=options.like_labels,
    )
    ct.save(options.out)
    shape = " x ".join(map(str, ct.hu.shape))
    print(f"{options.out}: {shape} voxels, HU {ct.hu.min()} to {ct.hu.max()}, on the grid of {options.labels}")
    print(f"{len(ct.organs)} organs: {', '.join(ct.organs)}")
    if ct.not_understood:
        print(f"{len(ct.not_understood)} not known to the model, left unlabelled: {', '.join(ct.not_understood)}")


if __name__ == "__main__":
    sys.exit(main())
