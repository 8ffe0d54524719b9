"""`pivm preview`: one picture of a CT with its labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from pivm.cli.command import DONE, Command, add_ids, require
from pivm.errors import DataError
from pivm.labels import ORGANS_34, LabelSet


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ct", type=Path, metavar="CT", help="NIfTI file of HU")
    parser.add_argument("labels", type=Path, metavar="LABELS", help="file of all labels, or folder of masks")
    parser.add_argument("--out", type=Path, help="the PNG to write; beside the CT where it is not given")
    parser.add_argument("--overwrite", action="store_true", help="replace a PNG that is there")
    add_ids(parser, "1 to 34 in the order of TotalSegmentator's names in docs/datasets.md")


def draw_preview(ct: Path, labels: Path, ids: str | None, out: Path) -> None:
    """Draw a CT with its labels.

    Raises:
        DataError: one of them cannot be used, or they lie on different grids.
    """
    plot_preview = require("pivm.report.preview", "workflow").plot_preview
    from pivm.scans.nifti import read_ct
    from pivm.synthesis.given_labels import read_given

    volume, label_set = read_ct(ct), LabelSet(ORGANS_34)
    given = read_given(labels, None, label_set, ids)
    grid = given.label_map.grid
    if not grid.same(volume.grid):
        raise DataError(
            f"{labels}: labels have {grid.shape} voxels of {_mm(grid.spacing)} mm, the CT {ct} has {volume.grid.shape} "
            f"of {_mm(volume.spacing)} mm, expected one grid with the same affine; resample the labels to the CT"
        )
    plot_preview(volume.hu, given.label_map, label_set.names, ct.name, out)


def _mm(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{side:.3g}" for side in spacing)


def _run(options: argparse.Namespace) -> int:
    stem = options.ct.name.removesuffix(".gz").removesuffix(".nii")
    out = options.out or options.ct.with_name(f"{stem}_preview.png")
    if out.suffix.lower() != ".png":
        raise DataError(f"{out}: expected a name that ends in .png")
    if out.exists() and not options.overwrite:
        raise DataError(f"{out}: exists; take another --out, or --overwrite")
    draw_preview(options.ct, options.labels, options.ids, out)
    print(out)
    return DONE


COMMAND = Command("preview", "draw a CT with its labels into one picture", _options, _run)
