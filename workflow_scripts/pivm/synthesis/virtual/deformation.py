"""Smooth, invertible deformations of a stack: exponentials of stationary velocity fields (Arsigny et al. 2006)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pivm.scans.inplane import AIR_HU

Spacing = tuple[float, float, float]
#: grid of a velocity field, mm; fields are smoother than that
GRID_MM = 8.0
#: length over which the motion along z fades out towards the first and the last slice, mm
END_MM = 20.0
#: halvings of the field before it is composed with itself as often
SQUARINGS = 5


class Grid:
    """The voxels of a stack, and a coarser grid that fields live on.

    Args:
        shape: (S, H, W) of the stack.
        spacing_mm: along them.
    """

    def __init__(self, shape: tuple[int, int, int], spacing_mm: Spacing):
        self.shape, self.spacing_mm = shape, spacing_mm
        strides = [max(1, round(GRID_MM / mm)) for mm in spacing_mm]
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

    def keeping_ends(self, velocity_mm: np.ndarray) -> np.ndarray:
        """The field without motion along z in the first and the last slice: what the scan cut stays cut there.

        So nothing enters or leaves through the ends, where no anatomy is known.
        """
        z = np.arange(self.coarse_shape[0]) * self.coarse_mm[0]
        fade = np.prod([1 - np.exp(-((end / END_MM) ** 2)) for end in (z, z[-1] - z)], axis=0)
        kept = velocity_mm.copy()
        kept[0] *= fade.astype(np.float32)[:, None, None]
        return kept

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
        """Where each voxel of the stack takes its value from, in voxels, float32 [3, S, H, W].

        Places below the first and above the last slice are moved there; beyond the sides of a slice is air.
        """
        fine = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in self.shape), indexing="ij"))
        moved = displacement_mm
        if self.strides != (1, 1, 1):
            at = [fine[i] / stride for i, stride in enumerate(self.strides)]
            moved = np.stack([ndimage.map_coordinates(m, at, order=1, mode="nearest") for m in moved])
        places = fine + moved / np.array(self.spacing_mm, np.float32)[:, None, None, None]
        np.clip(places[0], 0, self.shape[0] - 1, out=places[0])
        return places


def organ_share(labels: np.ndarray, organ: int, box: tuple[slice, ...], places: np.ndarray):
    """How much of each voxel an organ fills under a deformation, by linear interpolation.

    Args:
        labels: uint8 [S, H, W].
        organ: its id.
        box: around it.
        places: of :meth:`Grid.places`.

    Returns:
        The box that it reaches at most, as slices, and its share there, float32; ``None`` where it reaches no voxel.
    """
    # the voxels that can take a value from the organ: those whose places lie in its box, one voxel wider
    inside = np.ones(labels.shape, bool)
    for place, side in zip(places, box, strict=True):
        inside &= (place > side.start - 1) & (place < side.stop)
    reached = ndimage.find_objects(inside.astype(np.uint8))
    if not reached:
        return None
    around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
    mask = (labels[around] == organ).astype(np.float32)
    at = [place[reached[0]] - side.start for place, side in zip(places, around, strict=True)]
    return reached[0], ndimage.map_coordinates(mask, at, order=1, mode="grid-constant")


def warp_labels(labels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A label map under a deformation.

    Each organ is interpolated for itself: a voxel is of an organ where organs together fill half of it, and then of the
    one that fills most. Elsewhere it takes the nearest label, else thin organs shrink or are lost between voxels.

    Args:
        labels: uint8 [S, H, W].
        places: of :meth:`Grid.places`.

    Returns:
        uint8 [S, H, W].
    """
    best, total = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.float32)
    warped = np.zeros_like(labels)
    for organ, box in enumerate(ndimage.find_objects(labels), start=1):
        found = organ_share(labels, organ, box, places) if box else None
        if found is None:
            continue
        to, share = found
        total[to] += share
        more = share > best[to]
        warped[to][more] = organ
        best[to][more] = share[more]
    nearest = ndimage.map_coordinates(labels, places, order=0, mode="grid-constant")
    return np.where(total < 0.5, nearest, warped)


def warp_mask(mask: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A mask under a deformation, bool [S, H, W]."""
    return ndimage.map_coordinates(mask.astype(np.float32), places, order=1, mode="grid-constant") >= 0.5


def warp_hu(hu: np.ndarray, places: np.ndarray) -> np.ndarray:
    """HU under a deformation, int16 [S, H, W]."""
    moved = ndimage.map_coordinates(hu.astype(np.float32), places, order=1, mode="grid-constant", cval=AIR_HU)
    return np.rint(moved).astype(np.int16)
