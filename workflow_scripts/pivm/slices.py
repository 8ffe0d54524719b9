"""From one scan to its standardised slices, and the memory-mapped store that all scans end up in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pivm.errors import DataError, StateError
from pivm.inplane import AIR_HU, InPlane, outline
from pivm.labels import LabelSet
from pivm.volumes import Volume, read_ct, read_label_map

ARRAYS = ("hu", "labels", "body")
_DTYPES = {"hu": np.int16, "labels": np.uint8, "body": np.bool_}


@dataclass
class SubjectRecord:
    """What preparation found in one scan; one row of the selection table.

    Attributes:
        status: ``selected`` or ``set aside``; reason: why it was set aside.
        voxels: organ name -> voxels in the scan; missing: organs without a mask file.
        pixel_mm: in-plane pixel size of the standardised slices; step_mm: distance between chosen slices.
    """

    subject: str
    status: str = "set aside"
    reason: str = ""
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    axial_slices: int = 0
    slices: int = 0
    pixel_mm: float = 0.0
    step_mm: float = 0.0
    overlapping_voxels: int = 0
    voxels: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        Path(path).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> SubjectRecord:
        return cls(**json.loads(Path(path).read_text()))


def prepare_subject(
    subject: str,
    ct: Path | None,
    masks: dict[str, Path],
    label_set: LabelSet,
    size: int,
    selection: dict,
) -> tuple[SubjectRecord, dict[str, np.ndarray], pd.DataFrame]:
    """Read one scan, decide whether it is used (paper, section 3.1), and cut its slices.

    Args:
        masks: organ name -> mask file, for the organs that have one.
        size: pixels per side of a standardised slice.
        selection: the config section ``selection``.

    Returns:
        (record, arrays ``hu``, ``labels``, ``body`` [N, size, size], one row per slice with ``z``,
        ``role`` target or neighbour, and ``previous``, the row of the slice below or -1). A scan that
        cannot be used gives empty arrays and the reason in its record.
    """
    record = SubjectRecord(subject, missing=[n for n in label_set.names if n not in masks])
    empty = {name: np.zeros((0, size, size), _DTYPES[name]) for name in ARRAYS}
    no_rows = pd.DataFrame(columns=["z", "role", "previous"])
    try:
        if ct is None:
            raise DataError("no ct.nii.gz in the subject's folder")
        volume = read_ct(ct)
        record.shape, record.spacing = tuple(volume.hu.shape), volume.spacing
        record.axial_slices = volume.hu.shape[2]
        low, high = selection["axial_slices"]
        if not low <= record.axial_slices <= high:
            raise DataError(f"{record.axial_slices} axial slices, selection.axial_slices wants {low} to {high}")
        ids = {label_set.id_of(name): path for name, path in masks.items() if name in label_set.names}
        labels, counts, record.overlapping_voxels = read_label_map(ids, volume, selection["overlap"])
        record.voxels = {label_set.names[k - 1]: n for k, n in counts.items() if n}
        _require_abdomen(record, selection)
        targets = choose_slices(labels, selection["slices_per_scan"], selection["min_labels_per_slice"])
    except DataError as error:
        record.reason = str(error)
        return record, empty, no_rows
    arrays, rows = _cut(volume, labels, targets, size)
    record.status, record.slices = "selected", len(targets)
    record.pixel_mm = float(InPlane(volume.hu.shape[:2], volume.spacing[:2], size).pixel_mm)
    step = int(targets[1] - targets[0]) if len(targets) > 1 else 1
    record.step_mm = float(step * volume.spacing[2])
    return record, arrays, rows


def _require_abdomen(record: SubjectRecord, selection: dict) -> None:
    voxel_ml = float(np.prod(record.spacing)) / 1000
    present = [o for o in selection["organs"] if record.voxels.get(o, 0) * voxel_ml >= selection["min_organ_ml"]]
    if len(present) < selection["min_organs"]:
        raise DataError(
            f"not an abdominal scan: {len(present)} of the organs in selection.organs reach "
            f"{selection['min_organ_ml']:g} ml ({', '.join(present) or 'none'}), "
            f"at least {selection['min_organs']} are needed"
        )


def choose_slices(labels: np.ndarray, count: int, min_labels: int) -> np.ndarray:
    """Evenly spaced slice numbers over the labelled extent of a scan.

    The extent runs from the first to the last slice with at least ``min_labels`` organs. The step is constant,
    so that the chosen slices form a stack of known spacing; they are centred in the extent.

    Raises:
        DataError: no slice holds enough organs.
    """
    organs = [len(np.unique(labels[:, :, k])) - (labels[:, :, k] == 0).any() for k in range(labels.shape[2])]
    inside = np.flatnonzero(np.array(organs) >= min_labels)
    if not inside.size:
        raise DataError(f"no axial slice holds {min_labels} of the labelled organs (selection.min_labels_per_slice)")
    first, extent = int(inside[0]), int(inside[-1] - inside[0] + 1)
    step = max(extent // count, 1)
    chosen = min(count, 1 + (extent - 1) // step)
    offset = (extent - 1 - (chosen - 1) * step) // 2
    return first + offset + step * np.arange(chosen)


def _cut(volume: Volume, labels: np.ndarray, targets: np.ndarray, size: int):
    """Target slices and the slices right below them, standardised, with the patient's outline."""
    below = targets[targets > 0] - 1
    wanted = np.union1d(targets, below)
    row_of = {int(z): row for row, z in enumerate(wanted)}
    plane = InPlane(volume.hu.shape[:2], volume.spacing[:2], size)
    hu = plane.standardise(volume.hu[:, :, wanted], AIR_HU, smooth=True)
    label_slices = plane.standardise(labels[:, :, wanted], 0, smooth=False)
    arrays = {"hu": hu, "labels": label_slices, "body": outline(hu, label_slices, plane.pixel_mm)}
    is_target = np.isin(wanted, targets)
    rows = pd.DataFrame(
        {
            "z": wanted,
            "role": np.where(is_target, "target", "neighbour"),
            "previous": [row_of.get(int(z) - 1, -1) for z in wanted],
        }
    )
    return arrays, rows


def read_names(path: Path) -> pd.DataFrame:
    """Read a CSV whose patients may be called ``NA``, ``nan`` or ``007``: names stay text, nothing becomes NaN."""
    names = dict.fromkeys(("subject", "patient", "source_subject"), str)
    return pd.read_csv(path, dtype=names, keep_default_na=False)


class SliceStore:
    """The slices of a cohort, memory-mapped and read at random.

    Attributes:
        hu: int16 [N, H, W]; labels: uint8 [N, H, W]; body: bool [N, H, W], the patient's outline.
        index: one row per slice: ``subject, split, z, role, previous, pixel_mm, step_mm``.
    """

    def __init__(self, folder: Path):
        folder = Path(folder)
        self.index = read_names(folder / "index.csv")
        for name in ARRAYS:
            try:
                array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            except ValueError as error:
                raise StateError(f"{folder / name}.npy: not a slice store array ({error})") from None
            if len(array) != len(self.index) or array.dtype != _DTYPES[name]:
                raise StateError(
                    f"{folder / name}.npy: found {len(array)} slices of {array.dtype}, "
                    f"expected {len(self.index)} of {np.dtype(_DTYPES[name])}; delete the folder and run again"
                )
            setattr(self, name, array)

    @property
    def size(self) -> int:
        return self.hu.shape[-1]

    def rows(self, split: str) -> np.ndarray:
        """Rows of the target slices of one split, in store order."""
        chosen = (self.index["split"] == split) & (self.index["role"] == "target")
        return np.flatnonzero(chosen.to_numpy())


def write_store(folder: Path, parts: Iterable[tuple[pd.DataFrame, dict[str, Path]]], size: int) -> None:
    """Concatenate the slices of many scans, one scan in memory at a time.

    Args:
        parts: per scan its rows (with ``previous`` counted inside the scan) and the paths of its arrays.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = list(parts)
    total = sum(len(rows) for rows, _ in parts)
    out = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", _DTYPES[name], (total, size, size))
        for name in ARRAYS
    }
    start, frames = 0, []
    for rows, paths in parts:
        for name in ARRAYS:
            out[name][start : start + len(rows)] = np.load(paths[name], allow_pickle=False)
        shifted = rows.copy()
        shifted["previous"] = np.where(rows["previous"] < 0, -1, rows["previous"] + start)
        frames.append(shifted)
        start += len(rows)
    for array in out.values():
        array.flush()
    pd.concat(frames, ignore_index=True).to_csv(folder / "index.csv", index=False)
