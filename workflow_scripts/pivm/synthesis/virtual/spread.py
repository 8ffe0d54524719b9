"""How organs differ between patients: the measure of virtual ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pivm.synthesis.virtual.deformation import Spacing

#: patients that the spread over all organs counts as, beside those in which an organ was seen
PRIOR_PATIENTS = 4
#: spread of an organ's log volume and of its place where fewer than two patients tell anything
FEW_LOG_VOLUME, FEW_MM = 0.25, 8.0


@dataclass(frozen=True)
class AnatomySpread:
    """Standard deviations between patients.

    Attributes:
        log_volume: organ id -> of the logarithm of its volume.
        place_mm: organ id -> of its centroid from the middle of the spine, along each axis on average, mm.
        girth: of the logarithm of the width of the body.
    """

    log_volume: Mapping[int, float]
    place_mm: Mapping[int, float]
    girth: float

    @staticmethod
    def of(spreads: Mapping[int, float], organ: int) -> float:
        """That of an organ; where too few patients show it, that of all organs together, which has id 0."""
        return spreads.get(organ, spreads[0])


def spine_of(labels: np.ndarray, body: np.ndarray, bones: Sequence[int]) -> np.ndarray:
    """Row and column of the middle of the bones in the stack, in voxels; of the body where there are none."""
    found = np.isin(labels, list(bones))
    mask = found if found.any() else body
    return np.array([np.mean(axis) for axis in np.nonzero(mask)[1:]]) if mask.any() else np.array(labels.shape[1:]) / 2


def whole_organs(labels: np.ndarray) -> dict[int, np.ndarray]:
    """Organ id -> number of voxels and centroid in voxels, of organs that neither the first nor the last slice cuts."""
    cut = set(np.unique(labels[[0, -1]]))
    found = {}
    for organ, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or organ in cut:
            continue
        places = np.argwhere(labels[box] == organ) + [side.start for side in box]
        found[organ] = np.array([len(places), *places.mean(0)])
    return found


def fit_spread(stacks: Iterable[tuple[np.ndarray, np.ndarray, Spacing]], bones: Sequence[int]) -> AnatomySpread:
    """The spread between training patients.

    Organs that few patients show whole are drawn towards the spread of all organs together.

    Args:
        stacks: labels uint8 [S, H, W], body bool [S, H, W] and spacing of each patient.
        bones: their ids.
    """
    volumes: dict[int, list[float]] = {}
    places: dict[int, list[np.ndarray]] = {}
    widths = []
    for labels, body, spacing_mm in stacks:
        spine = spine_of(labels, body, bones)
        for organ, (voxels, _, row, column) in whole_organs(labels).items():
            volumes.setdefault(organ, []).append(float(np.log(voxels * np.prod(spacing_mm))))
            places.setdefault(organ, []).append((np.array([row, column]) - spine) * spacing_mm[1:])
        width = body.any(1).sum(1)
        if width.any():
            widths.append(float(np.log(np.median(width[width > 0]) * spacing_mm[2])))
    log_volume = _shrunk(
        {k: (float(np.var(v, ddof=1)), len(v)) for k, v in volumes.items() if len(v) > 1}, FEW_LOG_VOLUME
    )
    place = {k: (float(np.var(v, axis=0, ddof=1).mean()), len(v)) for k, v in places.items() if len(v) > 1}
    girth = float(np.std(widths, ddof=1)) if len(widths) > 1 else 0.05
    return AnatomySpread(log_volume, _shrunk(place, FEW_MM), girth)


def _shrunk(variances: Mapping[int, tuple[float, int]], few: float) -> dict[int, float]:
    """Standard deviations, each drawn towards that of all; id 0 is what organs without their own have."""
    pooled = float(np.median([v for v, _ in variances.values()])) if variances else few**2
    shrunk = {
        organ: float(np.sqrt(((n - 1) * v + PRIOR_PATIENTS * pooled) / (n - 1 + PRIOR_PATIENTS)))
        for organ, (v, n) in variances.items()
    }
    return {0: float(np.sqrt(pooled)), **shrunk}
