"""Volumes that lie on the voxels of another grid, turned, cropped or padded: placed without resampling."""

from __future__ import annotations

import numpy as np

#: two lattices are one when no corner is off by more than this share of a voxel
OFF_LATTICE = 0.25


def on_lattice(
    array: np.ndarray, affine: np.ndarray, target_shape: tuple[int, int, int], target_affine: np.ndarray
) -> tuple[np.ndarray, int] | None:
    """A volume on another grid of the same lattice.

    Args:
        array: bool [3D].
        affine: its index to mm.
        target_shape: voxels of the target.
        target_affine: index of the target to mm, in the same coordinates.

    Returns:
        (bool array of the target's shape, voxels that lie outside of it), or ``None`` where it would have to be
        resampled.
    """
    to_target = np.linalg.inv(target_affine) @ affine
    turn = np.rint(to_target[:3, :3]).astype(int)
    if not (np.abs(turn).sum(0) == 1).all() or not (np.abs(turn).sum(1) == 1).all():
        return None
    exact = np.eye(4)
    exact[:3, :3], exact[:3, 3] = turn, np.rint(to_target[:3, 3])
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in array.shape], indexing="ij")).reshape(3, -1)
    corners = np.vstack([ends, np.ones(8)])
    if np.abs(((to_target - exact) @ corners)[:3]).max() > OFF_LATTICE:
        return None
    axes = np.abs(turn).argmax(1)
    signs = turn[np.arange(3), axes]
    turned = array.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    start = exact[:3, 3].astype(int) - np.where(signs < 0, np.array(turned.shape) - 1, 0)
    low, high = np.maximum(start, 0), np.minimum(start + turned.shape, target_shape)
    placed = np.zeros(target_shape, bool, order="F")
    if (high > low).all():
        inner = turned[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))]
        placed[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = inner
    return placed, int(np.count_nonzero(array)) - int(np.count_nonzero(placed))
