"""Volumes whose slices lie nearer or farther apart than those that a generator learnt from (paper, section 2.2)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pivm.generators.model_folder import BelowMm
    from pivm.generators.protocol import Generator

log = logging.getLogger("pivm")
#: distances that differ by no more than this factor count as alike
ALIKE = 1.5


def warn_of_step(generator: Generator, below_mm: BelowMm | None, name: str, step_mm: float) -> None:
    """Name a distance of slices that the generator did not learn.

    One that is shown the slice below learnt how much changes over the distance of its training scans. A volume of
    another distance is made as it is: to resample it to the learnt distance was worse (docs/decisions.md).

    Args:
        generator: that makes the volume.
        below_mm: from a slice to the one below in its training (:class:`pivm.generators.model_folder.TrainedOn`).
        name: of the volume.
        step_mm: distance of its slices.
    """
    if below_mm is None or not generator.sees_below:
        return
    nearest = float(np.clip(step_mm, below_mm.low, below_mm.high))
    factor = max(step_mm / nearest, nearest / step_mm)
    if factor > ALIKE * (1 + 1e-6):
        log.warning(
            "%s: slices lie %.3g mm apart, but the generator learnt from slices %.3g mm apart (four in five scans: "
            "%.3g to %.3g), which is another distance by a factor of %.2g: how much changes "
            "between slices is learnt for its own; labels resampled along z to about that distance fit it",
            *(name, step_mm, below_mm.median, below_mm.low, below_mm.high, factor),
        )
