"""Label maps on the grid of the CT: one mask file per organ, or one file that holds all labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from pivm.errors import DataError
from pivm.scans.nifti import Grid, Image, InMemory, Stored

#: ids in files of floating point may be off by this much
NEARLY_WHOLE = 1e-3
#: different values that make a mask of 0 to 255 one of probabilities; fewer may be ids, or 255 a mark for "ignore"
FEWEST_SHARES = 8


@dataclass(frozen=True)
class Policy:
    """What is done about labels that do not fit.

    Attributes:
        overlap: ``first`` (the lower id keeps a voxel that two masks claim), ``last`` or ``error``.
        other_grid: labels on another grid than the CT: ``aside`` or ``resample`` (nearest neighbour, by affine).
    """

    overlap: str = "first"
    other_grid: str = "aside"


@dataclass
class LabelMap:
    """Labels of one subject.

    Attributes:
        array: uint8 [R, A, S], 0 = background.
        grid: where it lies.
        overlapping: voxels that several masks claim.
        resampled: files that were brought to the grid of the CT.
        files: organs that have a mask or an id, present or not.
        unused: names of masks, segments or ids that mean no organ of the label set.
        notes: what was repaired or left out, one sentence each.
    """

    array: np.ndarray
    grid: Grid
    overlapping: int = 0
    resampled: int = 0
    files: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def voxels_per_slice(labels: np.ndarray) -> np.ndarray:
    """Voxels of each id in each axial slice.

    Args:
        labels: uint8 [R, A, S].

    Returns:
        int64 [S, 256].
    """
    counts = np.zeros((labels.shape[2], 256), np.int64)
    for k in range(labels.shape[2]):
        # the memory order is that of the file; counting does not care, raveling in another order would copy
        counts[k] = np.bincount(labels[:, :, k].ravel("K"), minlength=256)
    return counts


def merge_masks(masks: Mapping[int, str | InMemory], grid: Grid | None, policy: Policy) -> LabelMap:
    """Merge one mask per organ.

    A mask holds 0 and one other value, or shares from 0 to 1 of which those above 0.5 belong to the organ; 8-bit
    probabilities count as shares of 255.

    Args:
        masks: label id -> file, zip member, or volume in memory.
        grid: that of the CT, or ``None`` to take the first mask's.
        policy: what is done about masks that do not fit.

    Raises:
        DataError: an unreadable mask, other values, another grid, or an overlap, as the policy says; no mask at all.
    """
    try:
        return _merge(masks, grid, policy, look_first=False)
    except _LateValues:
        return _merge(masks, grid, policy, look_first=True)


def mark_mask(place: str, marked: LabelMap) -> None:
    """Set the voxels of one more mask to 1, whatever they were.

    Args:
        place: file or zip member.
        marked: where to set them.

    Raises:
        DataError: an unreadable mask, other values than :func:`merge_masks` takes, or another grid.
    """
    image = Image(place)
    try:
        _paint(image, marked, Policy(), _Member(image, look_first=False))
    except _LateValues:
        _paint(image, marked, Policy(), _Member(image, look_first=True))


class _LateValues(Exception):
    """A mask turned out to be no plain 0 and 1 after a part of it was painted as such."""


def _merge(masks: Mapping[int, str | InMemory], grid: Grid | None, policy: Policy, look_first: bool) -> LabelMap:
    merged: LabelMap | None = None
    for label in sorted(masks):
        source = masks[label]
        image = source if isinstance(source, InMemory) else Image(source)
        merged = merged or _empty(grid, image)
        member = _Member(image, look_first)
        merged.overlapping += _paint(image, merged, policy, lambda slab, k=label, m=member: m(slab) * np.uint8(k))
    if merged is None:
        raise DataError("no mask of any organ in the label set")
    return merged


class _Member:
    """Tells which voxels of a mask belong to its organ, slab by slab; values beyond 0 and 1 are looked at once."""

    def __init__(self, image: Image | InMemory, look_first: bool):
        self.image, self.cut, self.painted = image, None, False
        if look_first:
            self.cut = mask_threshold(image)

    def __call__(self, slab: np.ndarray) -> np.ndarray:
        if self.cut is None:
            if slab.dtype == bool:
                return slab
            low, high = 0 if slab.dtype.kind == "u" else slab.min(), slab.max()
            if low >= 0 and high <= 1:
                self.painted = self.painted or bool(high > 0)
                if slab.dtype == np.uint8:  # 0 and 1 are truth values as they are
                    return slab.view(bool)
                return slab > 0.5 if slab.dtype.kind == "f" else slab > 0
            if self.painted:
                raise _LateValues
            self.cut = mask_threshold(self.image)
        return slab > self.cut


def mask_threshold(image: Image | InMemory) -> float:
    """The value above which voxels of a mask belong to its organ; the whole mask is read.

    Raises:
        DataError: its values are neither 0 and one other, nor shares of 1, nor 8-bit probabilities.
    """
    values: set[float] = set()
    for _, slab in image.slabs():
        if slab.dtype.kind == "f" and not np.isfinite(slab).all():
            raise DataError(f"{image.name}: mask values are NaN or infinite, expected 0 and 1")
        found = np.unique(slab)
        # of many values the ends and a few between are enough to judge and to tell
        values |= set(found[:: max(len(found) // 64, 1)].tolist()) | {found[0].item(), found[-1].item()}
    low, high = min(values), max(values)
    if low >= 0 and (high <= 1 or len(values - {0}) <= 1):
        return 0.5 * max(high, 1)
    if low >= 0 and high == 255 and len(values) >= FEWEST_SHARES and all(float(v).is_integer() for v in values):
        return 0.5 * high
    ordered = sorted(values)
    some = ", ".join(f"{v:g}" for v in (ordered if len(ordered) <= 6 else [*ordered[:4], ordered[-1]]))
    raise DataError(f"{image.name}: mask values {some}, expected 0 and one other, or shares from 0 to 1")


def relabel(place: str | Image | InMemory, ids: Mapping[int, int], grid: Grid | None, policy: Policy) -> LabelMap:
    """Read a volume that holds all labels and change its ids.

    Args:
        place: file, or a volume that is open or in memory.
        ids: id in the volume -> label id; other ids become background.

    Raises:
        DataError: as :func:`merge_masks`; or values that are no whole numbers from 0 to 65535.
    """
    image = Image(place) if isinstance(place, str) else place
    merged = _empty(grid, image)
    table = np.zeros(2**16, np.uint8)
    table[list(ids)] = list(ids.values())

    def change(slab: np.ndarray) -> np.ndarray:
        if slab.dtype == np.uint8:
            return table[slab]
        whole = np.rint(slab) if slab.dtype.kind == "f" else slab
        wrong = ~((np.abs(slab - whole) <= NEARLY_WHOLE) & (whole >= 0) & (whole < 2**16))
        if wrong.any():
            raise DataError(f"{image.name}: label value {slab[wrong][0]:.10g}, expected whole ids from 0 to 65535")
        return table[whole.astype(np.uint16)]

    _paint(image, merged, policy, change)
    return merged


def _empty(grid: Grid | None, image: Stored) -> LabelMap:
    grid = grid or image.grid
    # in the memory order of the file, so that masks of the same order are merged at full speed
    stored = np.zeros([grid.shape[int(axis)] for axis in image.orientation[:, 0]], np.uint8, order="F")
    return LabelMap(image.to_ras(stored), grid)


def _paint(
    image: Image | InMemory, target: LabelMap, policy: Policy, ids_of: Callable[[np.ndarray], np.ndarray]
) -> int:
    """Write one file's labels into the map; returns the voxels that were taken already."""
    if image.grid.same(target.grid):
        place, parts = image.from_ras(target.array), ((part, ids_of(slab)) for part, slab in image.slabs())
    elif policy.other_grid == "resample":
        whole = np.zeros(image.shape, np.uint8, order="F")
        for part, slab in image.slabs():
            whole[..., part] = ids_of(slab)
        place, parts = target.array, [(slice(None), resample_nearest(image.to_ras(whole), image.grid, target.grid))]
        target.resampled += 1
    elif image.grid.shape != target.grid.shape:
        raise DataError(f"{image.name}: mask has shape {image.grid.shape}, the CT {target.grid.shape}")
    else:
        apart = target.grid.distance(image.grid.affine)
        raise DataError(f"{image.name}: mask and CT lie on different grids, up to {apart:.3g} mm apart")
    overlapping = 0
    for part, ids in parts:
        if ids.any():
            overlapping += _put(place[..., part], ids, policy.overlap)
    if overlapping and policy.overlap == "error":
        raise DataError(
            f"{image.name}: {overlapping} voxels already belong to another organ (selection.overlap: error)"
        )
    return overlapping


def _put(place: np.ndarray, ids: np.ndarray, overlap: str) -> int:
    mask = ids > 0
    taken = mask & (place > 0)
    count = int(np.count_nonzero(taken))
    if count and overlap == "first":
        mask &= ~taken
    np.copyto(place, ids, where=mask)
    return count


def resample_nearest(labels: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Labels of one RAS+ grid on another, nearest neighbour; 0 outside."""
    to_source = np.linalg.inv(source.affine) @ target.affine
    return ndimage.affine_transform(
        labels, to_source[:3, :3], to_source[:3, 3], target.shape, np.uint8, order=0, mode="constant", cval=0
    )
