"""One virtual patient: a draw of organ sizes and places, a smooth field that carries it out, and what must hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pivm.errors import CohortError
from pivm.seeds import derived_seed
from pivm.synthesis.settings import AnatomySettings
from pivm.synthesis.virtual.deformation import Grid, Spacing, warp_hu, warp_labels, warp_mask
from pivm.synthesis.virtual.spread import AnatomySpread, spine_of
from pivm.synthesis.virtual.tears import bridged, torn, without_specks

#: draws before a strength counts as too high; the last is at half of it
DRAWS = 12
#: smallest determinant of the derivative of a deformation: tissue keeps this share of its volume everywhere
LEAST_JACOBIAN = 0.2
#: makes the motion of an organ that of its surface too, where a smoothed mask is a half and less
WEIGHT = 4.0
#: what smoothing and neighbours take of a change of size, and girth and warp already add to a change of place
VOLUME_GAIN, PLACE_GAIN = 1.4, 0.75


@dataclass(frozen=True)
class Stack:
    """All axial slices of a patient in standard form.

    Attributes:
        labels: uint8 [S, H, W].
        body: bool [S, H, W], the outline.
        hu: int16 [S, H, W]; ``None`` without CT.
        spacing_mm: along S, H and W.
    """

    labels: np.ndarray
    body: np.ndarray
    hu: np.ndarray | None
    spacing_mm: Spacing


@dataclass(frozen=True)
class VirtualPatient:
    """A patient with the anatomy of another one, deformed.

    Attributes:
        stack: labels, outline and, where the other one has a CT, that CT under the same deformation.
        transform: the strength and what was drawn, and how many draws tore something before.
    """

    stack: Stack
    transform: dict[str, float]

    def described(self) -> str:
        """The transform as one line of JSON."""
        return json.dumps({key: round(value, 4) for key, value in self.transform.items()})


def virtual_patient(
    stack: Stack,
    bones: Sequence[int],
    settings: AnatomySettings,
    spread: AnatomySpread,
    seed: int,
    name: str = "patient",
) -> VirtualPatient:
    """Deform a patient: organs scaled about their centroids and shifted, the body's girth, a smooth warp of everything.

    One velocity field does all of it, so that nothing folds and no organ passes another. Tissue that an organ leaves
    becomes body. A draw that tears an organ on the voxels is drawn anew, each time a little weaker.

    Args:
        stack: the patient.
        bones: ids of labels that hardly change their size.
        settings: config section ``synthesis.augmented``.
        spread: between the training patients.
        seed: of the draws.
        name: for the message.

    Raises:
        CohortError: no draw holds at this strength; the largest that holds is named.
    """
    grid = Grid(stack.labels.shape, stack.spacing_mm)
    problem = ""
    for draw in range(DRAWS):
        rng = np.random.default_rng(derived_seed(seed, "draw", draw))
        strength = settings.strength * (1 - 0.5 * draw / (DRAWS - 1))
        drawn, found = _deformed(stack, grid, bones, settings, spread, strength, rng)
        problem = found or problem
        if isinstance(drawn, tuple):
            places, labels, body, transform = drawn
            hu = None if stack.hu is None else warp_hu(stack.hu, places)
            return VirtualPatient(
                Stack(labels, body, hu, stack.spacing_mm), {"strength": strength, "redrawn": draw, **transform}
            )
    largest = _largest_strength(stack, grid, bones, settings, spread, seed)
    raise CohortError(
        f"synthesis.augmented.strength: {settings.strength:g} tears {name} ({problem}) in all of {DRAWS} draws down to "
        f"half of it; the largest that holds is about {largest:.2g}"
    )


def _largest_strength(stack, grid, bones, settings, spread, seed) -> float:
    low, high = 0.0, settings.strength
    for step in range(8):
        middle = (low + high) / 2
        rng = np.random.default_rng(derived_seed(seed, "strength", step))
        drawn, _ = _deformed(stack, grid, bones, settings, spread, middle, rng)
        low, high = (middle, high) if drawn else (low, middle)
    return low


def _deformed(stack: Stack, grid: Grid, bones, settings: AnatomySettings, spread: AnatomySpread, strength, rng):
    """(places, labels, body, transform) and no problem, or None and the problem."""
    velocity, transform = _velocity(stack, grid, bones, settings, spread, strength, rng)
    # a voxel takes its value from where the flow against the field leads
    displacement = grid.exponential(-velocity)
    transform["jacobian"] = grid.smallest_jacobian(displacement)
    if transform["jacobian"] < LEAST_JACOBIAN:
        return None, "tissue is squeezed to less than a fifth"
    places = grid.places(displacement)
    labels = bridged(stack.labels, warp_labels(stack.labels, places), places)
    labels, body = without_specks(stack.labels, labels), warp_mask(stack.body, places)
    if problem := torn(stack.labels, labels, body):
        return None, problem
    return (places, labels, body | (labels > 0), transform), ""


def _velocity(stack: Stack, grid: Grid, bones, settings: AnatomySettings, spread: AnatomySpread, strength: float, rng):
    """The field in mm per unit time, float32 [3, S, H, W] on the coarse grid, and what was drawn."""
    labels, at = grid.coarse(stack.labels), grid.coordinates_mm()
    spine = spine_of(stack.labels, stack.body, bones) * stack.spacing_mm[1:]
    largest = np.log(settings.girth)
    girth = float(np.clip(rng.normal(0, strength * spread.girth), -largest, largest))
    transform = {"girth": float(np.exp(girth))}
    bone = grid.smooth(np.isin(labels, list(bones)).astype(np.float32), settings.reach_mm)
    field = np.zeros_like(at)
    field[1:] = girth * (at[1:] - spine[:, None, None, None]) * (1 - np.clip(2 * bone, 0, 0.7))
    total = np.zeros(labels.shape, np.float32)
    organs = np.zeros_like(at)
    low, high = np.log(settings.organ_scale)
    for organ, box in enumerate(ndimage.find_objects(labels), start=1):
        # drawn for every organ, so that one that is lacking changes nothing for the others
        scale, shift = rng.normal(), rng.normal(size=3)
        if box is None:
            continue
        rigid = 0.2 if organ in bones else 1.0
        # of the logarithm of the side, a third of that of the volume
        sd = rigid * strength * VOLUME_GAIN * spread.of(spread.log_volume, organ) / 3
        scale = float(np.clip(sd * scale, low, high))
        sd = rigid * strength * PLACE_GAIN * spread.of(spread.place_mm, organ)
        shift = np.clip(sd * shift, -settings.shift_mm, settings.shift_mm).astype(np.float32)
        # weights live near their organ alone
        margin = [int(np.ceil(3 * settings.reach_mm / mm)) for mm in grid.coarse_mm]
        near = tuple(slice(max(side.start - m, 0), side.stop + m) for side, m in zip(box, margin, strict=True))
        mask = (labels[near] == organ).astype(np.float32)
        weight = np.clip(WEIGHT * grid.smooth(mask, settings.reach_mm), 0, 1)
        where = at[(slice(None), *near)]
        centre = np.array([(a * mask).sum() / mask.sum() for a in where], np.float32)[:, None, None, None]
        organs[(slice(None), *near)] += weight * (scale * (where - centre) + shift[:, None, None, None])
        total[near] += weight
        transform[f"scale_{organ}"] = float(np.exp(scale))
        transform[f"shift_mm_{organ}"] = float(np.linalg.norm(shift))
    field += organs / np.maximum(total, 1)
    noise = grid.smooth(rng.normal(size=at.shape).astype(np.float32), settings.warp_length_mm)
    spread_of_noise = float(noise.std()) or 1.0
    field += strength * settings.warp_mm * noise / spread_of_noise
    transform["warp_mm"] = strength * settings.warp_mm
    return grid.keeping_ends(grid.smooth(field, 0.8 * settings.reach_mm)), transform
