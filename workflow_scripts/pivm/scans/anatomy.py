"""Whether the organs lie where a body has them: the only witness against a header that is wrong about its axes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pivm.errors import DataError
from pivm.labels import LabelSet

#: organs this far on the wrong side are not level, mm
LEVEL_MM = 1e-3
#: one voxel in so many mm along each axis is looked at
THIN_MM = 4.0
_SPINE = tuple(f"vertebrae_{v}" for v in ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"))
_BACK_MUSCLES = ("autochthon_left", "autochthon_right")
_KIDNEYS = ("kidney_left", "kidney_right")
_LUNGS = ("lung_lower_lobe_left", "lung_lower_lobe_right")
_PELVIS = ("urinary_bladder", "sacrum", "hip_left", "hip_right")


@dataclass(frozen=True)
class Pair:
    """Two organs of which one always lies to one side of the other.

    Attributes:
        first: the one that lies further along the axis: to the right, in front or above.
        second: the other one.
        alone: they are apart along this axis more than along the others.
        per_slice: they are compared within the axial slices that hold both.
    """

    first: str
    second: str
    alone: bool = False
    per_slice: bool = False


def _front_back() -> Iterator[Pair]:
    # the spine curves, so what lies in front of it is compared slice by slice
    groups = (
        (("aorta", "inferior_vena_cava"), (*_SPINE, *_BACK_MUSCLES)),
        (("stomach", "pancreas"), ("aorta", *_KIDNEYS, *_SPINE, *_BACK_MUSCLES)),
        (("urinary_bladder",), ("sacrum",)),
    )
    for front, back in groups:
        yield from (Pair(f, b, per_slice=True) for f, b in itertools.product(front, back))


def _up_down() -> Iterator[Pair]:
    for (i, upper), (j, lower) in itertools.combinations(enumerate(_SPINE), 2):
        yield Pair(upper, lower, alone=j - i > 1)
    trunk, middle = ("liver", "spleen", "stomach", "pancreas"), ("urinary_bladder", "sacrum")
    for above, below in ((_LUNGS, _PELVIS), (trunk, middle)):
        yield from (Pair(a, b, alone=True) for a, b in itertools.product(above, below))
    groups = (
        (_LUNGS, (*_KIDNEYS, "pancreas", "duodenum", "colon", "vertebrae_L2", "vertebrae_L3")),
        (("esophagus",), ("gallbladder", "pancreas", "duodenum", *_KIDNEYS)),
        (trunk, ("hip_left", "hip_right")),
        (_SPINE[:-1], ("sacrum", "hip_left", "hip_right")),
        (("adrenal_gland_left",), ("kidney_left",)),
        (("adrenal_gland_right",), ("kidney_right",)),
    )
    for above, below in groups:
        yield from (Pair(a, b) for a, b in itertools.product(above, below))


def _left_right(names: Iterable[str]) -> Iterator[Pair]:
    for name in names:
        if "_left" in name:
            yield Pair(name.replace("_left", "_right"), name, alone=True)


@dataclass(frozen=True)
class Misplaced:
    """Pairs of organs along one axis.

    Attributes:
        wrong: that lie the other way round, or are apart along another axis.
        pairs: that are there to look at.
    """

    wrong: int
    pairs: int


def misplaced_organs(labels: np.ndarray, label_set: LabelSet, spacing_mm: tuple[float, ...]) -> dict[str, Misplaced]:
    """Pairs of organs that lie the wrong way round along R, A and S.

    Args:
        labels: uint8 [R, A, S].
        label_set: what the ids mean.
        spacing_mm: voxel size along R, A and S.

    Returns:
        ``left_right``, ``front_back`` and ``up_down`` -> what was found.
    """
    found = _Places(labels, spacing_mm)
    axes = {"left_right": _left_right(label_set.names), "front_back": _front_back(), "up_down": _up_down()}
    out = {}
    for axis, (name, pairs) in enumerate(axes.items()):
        verdicts = []
        for pair in pairs:
            if pair.first in label_set.names and pair.second in label_set.names:
                apart = found.apart(label_set.id_of(pair.first), label_set.id_of(pair.second), pair.per_slice)
                if apart is not None:
                    elsewhere = pair.alone and np.abs(apart).argmax() != axis
                    verdicts.append(bool(apart[axis] < -LEVEL_MM or elsewhere))
        out[name] = Misplaced(sum(verdicts), len(verdicts))
    return out


class _Places:
    """Centres of the organs of a label map."""

    def __init__(self, labels: np.ndarray, spacing_mm: tuple[float, ...]):
        strides = [max(1, round(THIN_MM / side)) for side in spacing_mm]
        thin = labels[tuple(slice(None, None, stride) for stride in strides)]
        self.step = np.array(spacing_mm) * strides
        r, a, s = thin.shape
        self.counts = np.zeros((s, 256))
        self.sums = np.zeros((3, s, 256))  # of the indices along R, A and S
        along_r, along_a = (grid.ravel() for grid in np.mgrid[:r, :a])
        for k in range(s):
            ids = thin[:, :, k].ravel()
            inside = np.flatnonzero(ids)
            ids = ids[inside]
            self.counts[k] = np.bincount(ids, minlength=256)
            self.sums[0, k] = np.bincount(ids, along_r[inside], 256)
            self.sums[1, k] = np.bincount(ids, along_a[inside], 256)
            self.sums[2, k] = self.counts[k] * k

    def apart(self, first: int, second: int, per_slice: bool) -> np.ndarray | None:
        """From the second organ to the first along R, A and S in mm; ``None`` where there is nothing to compare."""
        both = [first, second]
        counts = self.counts[:, both]
        if per_slice:
            shared = counts.all(1)
            if not shared.any():
                return None
            centres = (self.sums[:, shared][..., both] / counts[shared]).mean(1)
        else:
            if not counts.any(0).all():
                return None
            centres = self.sums[..., both].sum(1) / counts.sum(0)
        return (centres[:, 0] - centres[:, 1]) * self.step


_FAULTS = {
    "left_right": "left and right swapped: in {} of {} pairs the left organ lies on the right",
    "front_back": "front and back swapped: in {} of {} pairs the front organ (aorta before spine, say) lies behind",
    "up_down": "upside down: in {} of {} pairs the upper organ (T10 over L5, lungs over bladder) lies below",
}


def check_anatomy(found: dict[str, Misplaced], policies: dict[str, str]) -> None:
    """Turn away a scan in which most pairs lie the wrong way round along an axis.

    Args:
        found: of :func:`misplaced_organs`.
        policies: name of the axis -> ``aside`` or ``keep``, as in the config section ``quality``.

    Raises:
        DataError: so along an axis whose policy is ``aside``.
    """
    for axis, pairs in found.items():
        if policies[axis] == "aside" and pairs.wrong > pairs.pairs / 2:
            said = _FAULTS[axis].format(pairs.wrong, pairs.pairs)
            raise DataError(f"{said}: the header is wrong about its axes, or the labels are (quality.{axis}: aside)")
