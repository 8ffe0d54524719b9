"""Whether labels are of a region that a generator was trained on."""

from __future__ import annotations

import logging

import numpy as np

from pivm.cohort.prior import Prior
from pivm.errors import DataError
from pivm.labels import LabelSet
from pivm.synthesis.given_labels import GivenLabels

log = logging.getLogger("pivm")
#: organs that make an axial slice one like those of a training, as config key ``selection.min_labels_per_slice``
ORGANS_PER_SLICE = 3
#: smallest share of such slices among the slices of the labels
KNOWN_SHARE = 1 / 3
#: organs of the model that labels hold at least, where each counts from :data:`ORGAN_ML` on
ORGANS = 5
#: ml
ORGAN_ML = 1.0


def trained_organs(prior: Prior) -> tuple[str, ...]:
    """Organs that a generator was trained for: it knows them by an id of their own, and has seen them."""
    return tuple(name for name in prior.names if name not in prior.never_seen)


def require_trained(
    per_slice: np.ndarray,
    spacing: tuple[float, ...],
    label_set: LabelSet,
    given: GivenLabels,
    any_region: bool,
    window: slice,
) -> tuple[tuple[str, ...], int]:
    """The organs that slices hold, and how many of these hold too few of them; the region is told by all labels.

    Args:
        per_slice: voxels of each organ in each axial slice [S, K].
        spacing: voxel sides, mm.
        label_set: organs that the model was trained for.
        given: for messages.
        any_region: warn where else it is refused.
        window: the slices that are wanted.

    Raises:
        DataError: no organ of the model; or too few of them, or in too few slices, for a region that it was trained on.
    """
    there = np.asarray(per_slice[window].any(0))
    if not there.any():
        found = f"; found {', '.join(given.not_understood)}" if given.not_understood else ""
        holds = "the window holds" if per_slice.any() else "holds"
        raise DataError(
            f"{given.name}: {holds} none of the organs of the model ({', '.join(label_set.names)}), which needs labels "
            f"of some of them{found}"
        )
    named = list(zip(label_set.names, there, strict=True))
    if lacking := [organ for organ, found in named if not found]:
        log.warning("%s: not in the labels, and so unlabelled tissue: %s", given.name, ", ".join(lacking))
    # a model of very few organs cannot ask for as many of them
    least, fewest = (min(wanted, max(len(label_set) // 2, 1)) for wanted in (ORGANS_PER_SLICE, ORGANS))
    known = np.asarray((per_slice > 0).sum(1) >= least)
    beyond = np.arange(len(known))[window][~known[window]]
    ml = per_slice.sum(0) * float(np.prod(spacing)) / 1000
    large = [organ for organ, volume in zip(label_set.names, ml, strict=True) if volume >= ORGAN_ML]
    counted = (
        f"{len(large)} organs of the model reach {ORGAN_ML:g} ml ({', '.join(large) or 'none'}), and {known.sum()} of "
        f"{len(known)} axial slices hold at least {least} of them"
    )
    if len(large) < fewest or known.mean() < KNOWN_SHARE:
        wanted = (
            f"expected {fewest} organs and {KNOWN_SHARE:.0%} of the slices: the generator was "
            f"trained on abdominal slices, with {', '.join(label_set.names)}"
        )
        if not any_region:
            raise DataError(
                f"{given.name}: not a region that the model was trained on: {counted}; {wanted}. Crop the labels to "
                "the abdomen, or ask for it all the same with --any-region"
            )
        log.warning("%s: not a region that the model was trained on: %s; %s", given.name, counted, wanted)
    elif len(beyond):
        log.warning(
            "%s: %d of %d axial slices hold fewer than %d organs of the model, unlike those that it was trained on: "
            "what is made there is a guess (slices %s, counted from the feet)",
            *(given.name, len(beyond), len(known[window]), least, _ranges(beyond)),
        )
    return tuple(organ for organ, found in named if found), len(beyond)


def _ranges(numbers: np.ndarray) -> str:
    """Ascending whole numbers as ranges.

    >>> _ranges(np.array([0, 1, 2, 7]))
    '0-2, 7'
    """
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
