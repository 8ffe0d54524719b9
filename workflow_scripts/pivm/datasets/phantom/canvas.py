"""The voxel grid a phantom patient is painted on: HU with partial volume, and one organ id per voxel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from pivm.datasets.phantom import shapes

Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Canvas:
    """Coordinates of the canonical body at every voxel, and what has been painted so far.

    Args:
        shape: voxels along R, A and S.
        spacing: mm along R, A and S.
        centre_z: canonical height (mm, L3 = 0) of the middle slice.
        scale: patient size over canonical size along R, A and S.
        pose: degrees of rotation about R, A and S.
        displacement: control-point displacements [3, a, b, c] in mm, interpolated smoothly over the grid.
    """

    def __init__(self, shape, spacing, centre_z, scale, pose, displacement):
        self.edge = float(np.mean(spacing[:2]))
        axes = [(np.arange(n, dtype=np.float32) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
        grid = np.meshgrid(*axes, indexing="ij", copy=True)
        turn = shapes.rotation(pose)
        coordinates = []
        for i in range(3):
            moved = sum(np.float32(turn[j, i]) * grid[j] for j in range(3))
            zoom = [n / c for n, c in zip(shape, displacement[i].shape, strict=True)]
            moved = moved / np.float32(scale[i]) + ndimage.zoom(
                displacement[i].astype(np.float32), zoom, order=3, mode="nearest", grid_mode=True
            )
            coordinates.append(moved.astype(np.float32))
        self.x, self.y, self.z = coordinates
        self.z += np.float32(centre_z)
        self.hu = np.full(shape, -1000, np.float32)
        self.label = np.zeros(shape, np.uint8)
        self._reach = []
        for axis, c in enumerate((self.x, self.y, self.z)):
            others = tuple(i for i in range(3) if i != axis)
            self._reach.append((c.min(axis=others), c.max(axis=others)))

    def window(self, low, high) -> tuple[slice, ...]:
        """The smallest block of voxels that can hold canonical coordinates between two corners."""
        slices = []
        for (least, most), lo, hi in zip(self._reach, low, high, strict=True):
            hit = np.flatnonzero((most >= lo - self.edge) & (least <= hi + self.edge))
            slices.append(slice(hit[0], hit[-1] + 1) if hit.size else slice(0, 0))
        return tuple(slices)

    def everywhere(self) -> tuple[slice, ...]:
        """The block of all voxels."""
        return tuple(slice(0, n) for n in self.hu.shape)

    def at(self, block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Canonical coordinates x, y and z of the voxels of a block, of a mask, or of one voxel."""
        return self.x[block], self.y[block], self.z[block]

    def blend(self, block, distance: np.ndarray, hu, label: int | None = None) -> None:
        """Paint a solid with partial volume at its edge.

        Args:
            block: the voxels concerned.
            distance: signed distance there, mm.
            hu: HU of the solid, a number or an array like ``distance``.
            label: organ id to write where the solid fills more than half of a voxel; ``None`` keeps the ids.
        """
        if distance.size == 0:
            return
        fill = np.clip(0.5 - distance / self.edge, 0, 1)
        self.hu[block] += fill * (hu - self.hu[block])
        if label is not None:
            self.label[block][fill > 0.5] = label

    def tube(self, points, radii, within=None, per_segment=4, noise=None):
        """Distance to a smooth tube and the block it lies in.

        Args:
            points: [n, 3] mm; radii: one or more radii along it, mm.
            within: distance of a container on the whole grid; the tube is cut by it.
            noise: a wall modulation in mm per point of the curve (haustra of the colon).
        """
        curve, r = shapes.smooth_path(points, np.atleast_1d(radii), per_segment)
        if noise is not None:
            r = r * (1 + noise * np.sin(np.arange(len(r)) * 2.1))
        reach = r.max() + 2 * self.edge
        block = self.window(curve.min(0) - reach, curve.max(0) + reach)
        distance = np.full(self.x[block].shape, 1e3, np.float32)
        if distance.size == 0:
            return block, distance
        for a, b, ra, rb in zip(curve[:-1], curve[1:], r[:-1], r[1:], strict=True):
            inner = self.window(np.minimum(a, b) - reach, np.maximum(a, b) + reach)
            local = tuple(
                slice(i.start - o.start, i.stop - o.start) if i.stop > i.start else slice(0, 0)
                for i, o in zip(inner, block, strict=True)
            )
            if distance[local].size:
                piece = shapes.capsule(*self.at(inner), a, b, ra, rb)
                np.minimum(distance[local], piece, out=distance[local])
        return block, self._cut(block, distance, within)

    def ellipsoid(self, centre, radii, turn=None, within=None):
        """Distance to an ellipsoid (see :func:`shapes.ellipsoid`) and the block it lies in."""
        reach = np.full(3, max(radii)) if turn is not None else np.asarray(radii)
        block = self.window(np.asarray(centre) - reach, np.asarray(centre) + reach)
        distance = shapes.ellipsoid(*self.at(block), centre, radii, turn)
        return block, self._cut(block, distance, within)

    @staticmethod
    def _cut(block, distance, within):
        return distance if within is None else np.maximum(distance, within[block])
