"""What a deformation may do to organs on the voxels: thin ones are mended, and torn ones are named."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pivm.synthesis.virtual.deformation import organ_share

#: pieces that come off between voxels and are together at most this share of their organ are no tear
SPECKS = 0.05
#: an organ of fewer voxels may get lost
SMALL_VOXELS = 6
#: pieces of fewer voxels are no pieces
PIECE_VOXELS = 4
#: share of a voxel that an organ fills where it may bridge pieces of itself
BRIDGE = 0.2
_TOUCHING = np.ones((3, 3, 3), bool)


def bridged(before: np.ndarray, after: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The deformed labels with organs that fell apart between voxels connected again.

    A smooth deformation keeps a thin organ in one piece, its voxels may not: where it fills less than half of them.
    Voxels that it fills in part and that touch two of its pieces become its own.

    Args:
        before: labels uint8 [S, H, W] of the patient.
        after: the same deformed.
        places: of :meth:`pivm.synthesis.virtual.deformation.Grid.places`.
    """
    mended = after.copy()
    boxes = ndimage.find_objects(after, max_label=int(before.max()))
    for organ, box in enumerate(ndimage.find_objects(before), start=1):
        if box is None or (there := boxes[organ - 1]) is None:
            continue
        if _pieces(after[there] == organ) <= ndimage.label(before[box] == organ, _TOUCHING)[1]:
            continue
        found = organ_share(before, organ, box, places)
        if found is None:
            continue
        to, share = found
        own = mended[to] == organ
        pieces, _ = ndimage.label(own, _TOUCHING)
        partly, _ = ndimage.label((share >= BRIDGE) & ~own, _TOUCHING)
        for number, part in enumerate(ndimage.find_objects(partly), start=1):
            wider = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in part)
            bridge = partly[wider] == number
            touched = pieces[wider][ndimage.binary_dilation(bridge, _TOUCHING)]
            if len(np.unique(touched[touched > 0])) > 1:
                mended[to][wider][bridge] = organ
    return mended


def without_specks(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The deformed labels without small pieces that came off an organ between voxels; they become body.

    Args:
        before: labels uint8 [S, H, W] of the patient.
        after: the same deformed.
    """
    cleaned = after.copy()
    boxes = ndimage.find_objects(after, max_label=int(before.max()))
    for organ, box in enumerate(ndimage.find_objects(before), start=1):
        if box is None or boxes[organ - 1] is None:
            continue
        there = boxes[organ - 1]
        parts, n = ndimage.label(after[there] == organ, _TOUCHING)
        allowed = ndimage.label(before[box] == organ, _TOUCHING)[1]
        if n > allowed:
            sizes = np.bincount(parts.ravel(), minlength=n + 1)[1:]
            specks = 1 + np.argsort(-sizes, kind="stable")[allowed:]
            if sizes[specks - 1].sum() <= SPECKS * sizes.sum():
                cleaned[there][np.isin(parts, specks)] = 0
    return cleaned


def torn(before: np.ndarray, after: np.ndarray, body: np.ndarray) -> str:
    """What a deformation did to the organs that no anatomy shows; empty where nothing.

    Args:
        before: labels uint8 [S, H, W] of the patient.
        after: labels of the virtual one.
        body: its outline.
    """
    boxes = ndimage.find_objects(after, max_label=int(before.max()))
    for organ, box in enumerate(ndimage.find_objects(before), start=1):
        if box is None:
            continue
        old = before[box] == organ
        if boxes[organ - 1] is None:
            if old.sum() >= SMALL_VOXELS:
                return f"label {organ} is lost"
            continue
        new = after[boxes[organ - 1]] == organ
        if new.sum() < old.sum() / 4 and old.sum() >= SMALL_VOXELS:
            return f"label {organ} shrinks to less than a quarter"
        # a piece that was small before may grow
        if _pieces(new) > ndimage.label(old, _TOUCHING)[1]:
            return f"label {organ} falls into pieces"
        beyond = (new & ~body[boxes[organ - 1]]).sum()
        if beyond > 0.02 * new.sum() + 2:
            return f"label {organ} leaves the body"
    return ""


def _pieces(mask: np.ndarray) -> int:
    parts, n = ndimage.label(mask, _TOUCHING)
    return int((np.bincount(parts.ravel(), minlength=n + 1)[1:] >= PIECE_VOXELS).sum())
