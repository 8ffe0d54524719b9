"""Smooth, invertible deformations of a stack: exponentials of stationary velocity fields (Arsigny et al. 2006)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Spacing = tuple[float, float, float]
#: finest grid of a velocity field in a slice, mm: fields are smoother than that by far
GRID_MM = 5.0
#: halvings of the field before it is composed with itself as often
SQUARINGS = 5


class Grid:
    """The voxels of a stack, and a coarser grid in its slices that fields live on.

    Args:
        shape: (S, H, W) of the stack.
        spacing_mm: along them.
    """

    def __init__(self, shape: tuple[int, int, int], spacing_mm: Spacing):
        self.shape, self.spacing_mm = shape, spacing_mm
        strides = [1, *(max(1, int(GRID_MM // mm)) for mm in spacing_mm[1:])]
        self.strides = tuple(strides)
        self.coarse_mm = tuple(mm * stride for mm, stride in zip(spacing_mm, strides, strict=True))
        self.coarse_shape = tuple(-(-n // stride) for n, stride in zip(shape, strides, strict=True))

    def coarse(self, stack: np.ndarray) -> np.ndarray:
        """Every stride-th voxel of a stack."""
        return stack[tuple(slice(None, None, stride) for stride in self.strides)]

    def coordinates_mm(self) -> np.ndarray:
        """Position of each coarse voxel, float32 [3, S, H, W]."""
        axes = [np.arange(n, dtype=np.float32) * mm for n, mm in zip(self.coarse_shape, self.coarse_mm, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"))

    def smooth(self, field: np.ndarray, sigma_mm: float) -> np.ndarray:
        """Gaussian smoothing of a coarse field [..., S, H, W]."""
        sigmas = [0.0] * (field.ndim - 3) + [sigma_mm / mm for mm in self.coarse_mm]
        return ndimage.gaussian_filter(field, sigmas, mode="nearest", truncate=3.0)

    def exponential(self, velocity_mm: np.ndarray) -> np.ndarray:
        """Displacement in mm of the flow along a velocity field after unit time, float32 [3, S, H, W].

        The flow along the negative field is its inverse.
        """
        scale = np.array(self.coarse_mm, np.float32)[:, None, None, None]
        moved = velocity_mm / 2**SQUARINGS / scale
        base = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in self.coarse_shape), indexing="ij"))
        for _ in range(SQUARINGS):
            places = base + moved
            moved = moved + np.stack([ndimage.map_coordinates(m, places, order=1, mode="nearest") for m in moved])
        return moved * scale

    def smallest_jacobian(self, displacement_mm: np.ndarray) -> float:
        """Smallest determinant of the derivative of the deformation: above 0 where nothing folds."""
        gradients = np.zeros((3, 3, *self.coarse_shape), np.float32)
        for i, along in enumerate(displacement_mm):
            for axis, (n, mm) in enumerate(zip(self.coarse_shape, self.coarse_mm, strict=True)):
                if n > 1:
                    gradients[i, axis] = np.gradient(along, mm, axis=axis)
            gradients[i, i] += 1
        return float(np.linalg.det(np.moveaxis(gradients, (0, 1), (-2, -1))).min())

    def places(self, displacement_mm: np.ndarray) -> np.ndarray:
        """Where each voxel of the stack takes its value from, in voxels, float32 [3, S, H, W]."""
        fine = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in self.shape), indexing="ij"))
        moved = displacement_mm
        if self.strides != (1, 1, 1):
            at = [fine[i] / stride for i, stride in enumerate(self.strides)]
            moved = np.stack([ndimage.map_coordinates(m, at, order=1, mode="nearest") for m in moved])
        return fine + moved / np.array(self.spacing_mm, np.float32)[:, None, None, None]


def warp_labels(labels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A label map under a deformation.

    Each organ is interpolated for itself, so that a thin one is not lost between voxels: a voxel is of an organ where
    organs together fill half of it, and then of the one that fills most.

    Args:
        labels: uint8 [S, H, W].
        places: of :meth:`Grid.places`.

    Returns:
        uint8 [S, H, W].
    """
    best, total = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.float32)
    warped = np.zeros_like(labels)
    boxes = ndimage.find_objects(labels)
    for organ, box in enumerate(boxes, start=1):
        if box is None:
            continue
        # the voxels that can take a value from the organ: those whose places lie in its box, one voxel wider
        low, high = (np.array([getattr(side, end) for side in box], float) for end in ("start", "stop"))
        inside = np.ones(labels.shape, bool)
        for axis in range(3):
            inside &= (places[axis] > low[axis] - 1) & (places[axis] < high[axis])
        targets = ndimage.find_objects(inside.astype(np.uint8))
        if not targets:
            continue
        to = targets[0]
        around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        mask = (labels[around] == organ).astype(np.float32)
        at = [places[axis][to] - around[axis].start for axis in range(3)]
        share = ndimage.map_coordinates(mask, at, order=1, mode="nearest")
        total[to] += share
        more = share > best[to]
        warped[to][more] = organ
        best[to][more] = share[more]
    warped[total < 0.5] = 0
    return warped


def warp_mask(mask: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A mask under a deformation, bool [S, H, W]; what comes from beyond the stack continues its edge."""
    return ndimage.map_coordinates(mask.astype(np.float32), places, order=1, mode="nearest") >= 0.5


def warp_hu(hu: np.ndarray, places: np.ndarray, outside: int) -> np.ndarray:
    """HU under a deformation, int16 [S, H, W]; ``outside`` beyond the slices, which continue upwards and downwards."""
    inside = [np.clip(places[0], 0, len(hu) - 1), *places[1:]]
    moved = ndimage.map_coordinates(hu.astype(np.float32), inside, order=1, mode="constant", cval=outside)
    return np.rint(moved).astype(np.int16)
