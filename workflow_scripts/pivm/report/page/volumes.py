"""Volumes for the viewer: cropped to the patient, at most 1.5 million voxels, read by the page on demand."""

from __future__ import annotations

import base64
import gzip
import logging
import math
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from pivm.datasets import read_ct, read_labels
from pivm.datasets.totalsegmentator import subject
from pivm.errors import DataError
from pivm.labels import LabelSet
from pivm.report.forms import method_title
from pivm.report.page.data_file import write_data
from pivm.report.page.facts import PageRun
from pivm.scans.label_maps import Policy
from pivm.scans.nifti import Grid

log = logging.getLogger("pivm")
#: subjects shown, and voxels of a volume; a larger one is averaged over blocks
SUBJECTS, VOXELS = 2, 1_500_000
#: HU that tell the patient from the air around, voxels kept around the patient, and HU that are kept
TISSUE_HU, MARGIN, KEPT_HU = -500, 3, (-1024, 2000)


def write_volumes(run: PageRun, folder: Path) -> dict:
    """Write ``data/volumes/<subject>_<volume>.js``, compressed NIfTI in base64, and label maps beside them.

    Args:
        run: that is shown.
        folder: of the page.

    Returns:
        ``subjects``, each with its ``name``, its ``volumes`` (title and file), its label map and its ``spacing`` in mm;
        and ``labels``, the colour table of the label maps.

    Raises:
        DataError: no volume can be read; the message says why.
    """
    metas = {name: table for name in run.generators if (table := _meta(run, name)) is not None}
    if not metas:
        raise FileNotFoundError(
            2, "no volumes", str(run.results / f"synthesis/{run.generated}/seed_{run.seed}/volumes")
        )
    first = metas.get(run.generated, next(iter(metas.values())))
    shown, faults = [], []
    for source in first["source"].iloc[:SUBJECTS]:
        try:
            shown.append(_write_subject(run, source, metas, len(shown), folder))
        except (DataError, OSError) as error:
            faults.append(f"{source}: {error}")
    if not shown:
        raise DataError("; ".join(faults))
    colours = [bytes.fromhex(colour[1:]) for colour in run.colours.values()]
    return {
        "subjects": shown,
        "faults": faults,
        "labels": [[0, 0, 0], *map(list, colours)],
        "names": ["background", *run.labels],
    }


def _meta(run: PageRun, generator: str) -> pd.DataFrame | None:
    path = run.results / f"synthesis/{generator}/seed_{run.seed}/volumes/meta.csv"
    return pd.read_csv(path, sep=";", dtype=str, keep_default_na=False) if path.is_file() else None


def _write_subject(run: PageRun, source: str, metas: Mapping[str, pd.DataFrame], number: int, folder: Path) -> dict:
    """The volumes of one subject on one grid, the original first where there is one."""
    synthetic = {}
    for name, meta in metas.items():
        for image in meta.loc[meta["source"] == source, "image_id"]:
            synthetic[name] = subject(run.results / f"synthesis/{name}/seed_{run.seed}/volumes/{image}", "ct.nii.gz")
    volumes, faults = {}, []
    for name, where in synthetic.items():
        try:
            volumes[method_title(name)] = read_ct(where)
        except DataError as error:  # a generator that learnt nothing makes no HU; the others are shown
            faults.append(str(error))
            log.warning("left out of the page: %s", error)
    if not volumes:
        raise DataError("; ".join(faults))
    place = run.subjects.get(source)
    path = place.ct if place else ""
    original = read_ct(place) if place and path else None
    one = next(iter(volumes.values()))
    if original and not original.grid.same(one.grid):
        raise DataError(f"the synthetic volume has another grid than {path}: run the workflow again")
    labels = read_labels(next(iter(synthetic.values())), LabelSet(run.labels), one.grid, Policy()).array
    volumes = ({run.words.ct: original} if original else {}) | volumes
    box = bounding_box(next(iter(volumes.values())).hu, labels)
    factors = block(tuple(part.stop - part.start for part in box), one.spacing)
    files = []
    for i, (title, volume) in enumerate(volumes.items()):
        small = np.clip(mean_of_blocks(volume.hu[box], factors), *KEPT_HU)
        said = title if title == run.words.ct else f"synthetic, {title}"
        _write(np.rint(small).astype(np.int16), _affine(one.grid, box, factors), said, f"volumes/{number}_{i}", folder)
        files.append({"title": title, "file": f"volumes/{number}_{i}"})
    centre = tuple(slice(n // 2, None, n) for n in factors)
    shape = mean_of_blocks(labels[box], factors).shape
    chosen = labels[box][centre][tuple(map(slice, shape))]
    _write(chosen, _affine(one.grid, box, factors), "labels", f"volumes/{number}_labels", folder)
    spacing = [side * n for side, n in zip(one.spacing, factors, strict=True)]
    return {
        "name": source,
        "volumes": files,
        "labels": f"volumes/{number}_labels",
        "spacing": spacing,
        "averaged": max(factors) > 1,
    }


def bounding_box(hu: np.ndarray, labels: np.ndarray) -> tuple[slice, ...]:
    """The part of a volume that holds the patient, with a margin.

    Args:
        hu: int16 [R, A, S].
        labels: uint8 of the same shape.
    """
    inside, box = (hu > TISSUE_HU) | (labels > 0), []
    for axis in range(3):
        held = np.flatnonzero(inside.any(tuple({0, 1, 2} - {axis})))
        low, high = (held[0], held[-1] + 1) if len(held) else (0, hu.shape[axis])
        box.append(slice(int(max(low - MARGIN, 0)), int(min(high + MARGIN, hu.shape[axis]))))
    return tuple(box)


def block(shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[int, ...]:
    """Voxels per side of the blocks that become one voxel: the finest axis grows first.

    >>> block((100, 100, 50), (1.0, 1.0, 5.0)), block((512, 400, 100), (0.8, 0.8, 2.0))
    ((1, 1, 1), (3, 3, 2))
    """
    factors = [1, 1, 1]
    while math.prod(n // f for n, f in zip(shape, factors, strict=True)) > VOXELS:
        sides = [side * f for side, f in zip(spacing, factors, strict=True)]
        factors[sides.index(min(sides))] += 1
    return tuple(factors)


def mean_of_blocks(array: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """Means over blocks of voxels, float32; what fills no block at the end of an axis is left out.

    Args:
        array: [R, A, S].
        factors: voxels of a block along each axis.
    """
    counts = [max(n // f, 1) for n, f in zip(array.shape, factors, strict=True)]
    whole = array[tuple(slice(n * f) for n, f in zip(counts, factors, strict=True))]
    (r, a, s), (fr, fa, fs) = counts, factors
    return whole.reshape(r, fr, a, fa, s, fs).mean((1, 3, 5), dtype=np.float32)


def _affine(grid: Grid, box: tuple[slice, ...], factors: tuple[int, ...]) -> np.ndarray:
    """Of the blocks: voxel index to mm, each block at its centre."""
    to_voxel = np.diag([*map(float, factors), 1.0])
    to_voxel[:3, 3] = [part.start + (f - 1) / 2 for part, f in zip(box, factors, strict=True)]
    return grid.affine @ to_voxel


def _write(array: np.ndarray, affine: np.ndarray, said: str, name: str, folder: Path) -> None:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = said.encode("utf-8")[:79]
    packed = gzip.compress(image.to_bytes(), 9, mtime=0)
    write_data(name, base64.b64encode(packed).decode("ascii"), folder)
