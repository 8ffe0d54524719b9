"""From one subject to its standardised slices: verify, select, cut (paper, section 3.1)."""

from __future__ import annotations

import hashlib
import logging
import traceback

import numpy as np
import pandas as pd

from pivm.cohort.record import SubjectRecord
from pivm.cohort.selection import SelectionSettings, choose_slices, require_abdomen
from pivm.cohort.store import DTYPES, SliceStore
from pivm.cohort.twins import hu_hash
from pivm.datasets import read_ct, read_labels
from pivm.datasets.listing import Subject, printable, writable
from pivm.errors import DataError, PivmError
from pivm.labels import LabelSet
from pivm.scans.anatomy import check_anatomy, misplaced_organs
from pivm.scans.files import short
from pivm.scans.inplane import AIR_HU, InPlane
from pivm.scans.label_maps import LabelMap, Policy, voxels_per_slice
from pivm.scans.nifti import Volume
from pivm.scans.outline import outline
from pivm.scans.quality import (
    TINY_ML,
    QualitySettings,
    check_grid,
    check_organ_hu,
    clean_padding,
)

log = logging.getLogger("pivm")
NO_ROWS = ("z", "role", "previous")


def prepare_subject(
    name: str, subject: Subject, label_set: LabelSet, size: int, selection: SelectionSettings, quality: QualitySettings
) -> tuple[SubjectRecord, dict[str, np.ndarray], pd.DataFrame]:
    """Read one subject, decide whether it is used, and cut its slices.

    Args:
        name: of the subject.
        subject: where it lies.
        label_set: the organs that are looked for.
        size: pixels per side of a standardised slice.
        selection: config section ``selection``.
        quality: config section ``quality``.

    Returns:
        (record, arrays ``hu``, ``labels``, ``body`` [N, size, size], one row per slice with ``z``,
        ``role`` target or neighbour, and ``previous``, the row of the slice below or -1). A subject that
        cannot be used gives empty arrays and the reason in its record; one without CT the labels alone.
    """
    record = SubjectRecord(name, subject.person, missing=list(label_set.names))
    try:
        arrays, rows = _prepare(record, subject, label_set, size, selection, quality)
    except DataError as error:
        arrays, rows = _set_aside(record, str(error), size)
    except PivmError:
        raise  # of the config, not of the scan
    except Exception as error:
        # no file may end a run: whatever a reader stumbles over is the reason of this scan alone
        log.info("%s: %s", name, traceback.format_exc())
        reason = f"{subject.ct or subject.labels}: cannot be read ({type(error).__name__}: {short(error)})"
        arrays, rows = _set_aside(record, reason, size)
    return record, arrays, rows


def _set_aside(record: SubjectRecord, reason: str, size: int):
    record.status, record.reason, record.slices = "set aside", writable(reason), 0
    return _nothing(size)


def _nothing(size: int) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    return {n: np.zeros((0, size, size), DTYPES[n]) for n in SliceStore.ARRAYS}, pd.DataFrame(columns=NO_ROWS)


def _prepare(
    record, subject: Subject, label_set: LabelSet, size: int, selection: SelectionSettings, quality: QualitySettings
):
    if subject.fault:
        raise DataError(subject.fault)
    if not subject.ct and not subject.labels:
        raise DataError("neither CT nor labels")
    policy = Policy(selection.overlap, quality.other_grid)
    volume = read_ct(subject) if subject.ct else None
    if volume:
        record.patient = record.patient or volume.person
        _note_grid(record, volume.grid, selection, quality)
        record.padding_voxels = volume.padding
        clean_padding(volume, quality.padding)
        record.hu_hash = hu_hash(volume.hu)
    labels = read_labels(subject, label_set, volume.grid if volume else None, policy)
    if not volume:
        _note_grid(record, labels.grid, selection, quality)
    per_slice = voxels_per_slice(labels.array)
    _note_labels(record, labels, label_set, per_slice)
    require_abdomen(record, selection)
    anatomy = misplaced_organs(labels.array, label_set, record.spacing)
    record.swapped_pairs = anatomy["left_right"].wrong
    record.turned_pairs = anatomy["front_back"].wrong + anatomy["up_down"].wrong
    check_anatomy(anatomy, {axis: getattr(quality, axis) for axis in anatomy})
    targets = choose_slices(per_slice, selection.slices_per_scan, selection.min_labels_per_slice)
    arrays, rows = _cut(volume, labels, targets, size)
    if volume:
        organs = [label_set.id_of(o) for o in selection.organs]
        check_organ_hu(arrays["hu"], arrays["labels"], organs, quality.organ_hu)
        record.status = "selected"
        record.content = _content(volume.affine, volume.hu.T, labels.array.T, *arrays.values())
    else:
        record.status, record.reason = "labels only", "no CT: serves synthesis alone"
        record.content = _content(labels.grid.affine, labels.array.T)
    record.slices = len(targets)
    record.pixel_mm = float(_plane(labels, size).pixel_mm)
    step = int(targets[1] - targets[0]) if len(targets) > 1 else 1
    record.step_mm = float(step * labels.grid.spacing[2])
    return arrays, rows


def _content(affine: np.ndarray, *stacks: np.ndarray) -> str:
    """Hash of an affine and of stacks of slices, slice by slice along their first axis."""
    digest = hashlib.sha256(affine.tobytes())
    for stack in stacks:
        digest.update(f"{stack.shape} {stack.dtype}\0".encode())
        for part in stack:
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()[:20]


def _note_grid(record: SubjectRecord, grid, selection: SelectionSettings, quality: QualitySettings) -> None:
    record.shape, record.spacing, record.axial_slices = tuple(grid.shape), grid.spacing, grid.shape[2]
    low, high = selection.axial_slices
    check_grid(grid, quality)
    if not low <= record.axial_slices <= high:
        raise DataError(f"{record.axial_slices} axial slices, selection.axial_slices wants {low} to {high}")


def _note_labels(record: SubjectRecord, labels: LabelMap, label_set: LabelSet, per_slice: np.ndarray) -> None:
    counts, voxel_ml = per_slice.sum(0), float(np.prod(record.spacing)) / 1000
    record.voxels = {n: int(counts[k]) for k, n in enumerate(label_set.names, start=1) if counts[k]}
    record.missing = [n for n in label_set.names if n not in labels.files]
    record.unused, record.notes = sorted(map(printable, labels.unused)), [printable(n, 300) for n in labels.notes]
    record.overlapping_voxels, record.resampled = labels.overlapping, labels.resampled
    record.tiny_masks = sum(n * voxel_ml < TINY_ML for n in record.voxels.values())


def _plane(labels: LabelMap, size: int) -> InPlane:
    return InPlane(labels.grid.shape[:2], labels.grid.spacing[:2], size)


def _cut(volume: Volume | None, labels: LabelMap, targets: np.ndarray, size: int):
    """Target slices and the slices right below them, standardised; with the patient's outline where there is a CT."""
    below = targets[targets > 0] - 1
    wanted = np.union1d(targets, below)
    row_of = {int(z): row for row, z in enumerate(wanted)}
    plane, (arrays, _) = _plane(labels, size), _nothing(size)
    arrays["labels"] = plane.standardise(labels.array[:, :, wanted], 0, smooth=False)
    if volume:
        arrays["hu"] = plane.standardise(volume.hu[:, :, wanted], AIR_HU, smooth=True)
        arrays["body"] = outline(arrays["hu"], arrays["labels"], plane.pixel_mm)
    is_target = np.isin(wanted, targets)
    rows = pd.DataFrame(
        {
            "z": wanted,
            "role": np.where(is_target, "target", "neighbour"),
            "previous": [row_of.get(int(z) - 1, -1) for z in wanted],
        }
    )
    return arrays, rows
