"""Which slices of a training set each step of a segmenter sees: real and synthetic shares, rare organs."""

from __future__ import annotations

import numpy as np

from pivm.learning.batches import Batches, Mixed, Staged, StepRows, exactly
from pivm.seeds import derived_seed
from pivm.segmentation.settings import RareOrgansSettings, SegmenterSettings
from pivm.segmentation.training_set import Part, TrainingSlices


def batches_of(slices: TrainingSlices, settings: SegmenterSettings, seed: int) -> StepRows:
    """The batches of a training: all random numbers follow from the seed and the step.

    One pool by the numbers of its slices, unless the set holds both kinds and ``synthetic_share`` or
    ``synthetic_first`` parts them.
    """
    repeats = [_repeats(part, settings.rare_organs) for part in slices.parts]
    parted = settings.synthetic_share is not None or settings.synthetic_first > 0
    if not parted or len(slices.parts) < 2:
        even = all(each is None for each in repeats)
        filled = [np.ones(len(p.hu)) if r is None else r for p, r in zip(slices.parts, repeats, strict=True)]
        return Batches(len(slices), settings.batch, seed, repeats=None if even else np.concatenate(filled))
    pools = {}
    for part, start, each in zip(slices.parts, slices.starts, repeats, strict=False):
        own_seed = derived_seed(seed, "synthetic" if part.synthetic else "real")
        pools[part.synthetic] = Batches(len(part.hu), settings.batch, own_seed, int(start), each)
    if settings.synthetic_first:
        return Staged(pools[True], pools[False], int(exactly(settings.synthetic_first) * settings.steps))
    return Mixed(pools[False], pools[True], settings.synthetic_share or 0.0)


def _repeats(part: Part, settings: RareOrgansSettings) -> np.ndarray | None:
    """How often each slice of a part comes, float64 [N] of mean 1; None where all come alike."""
    kinds = {"both": (False, True), "real": (False,), "synthetic": (True,)}
    if not settings.threshold or part.synthetic not in kinds[settings.of]:
        return None
    counts = np.stack([np.bincount(part.labels[i].ravel(), minlength=256) for i in range(len(part.labels))])
    factors = repeat_factors(counts[:, 1:], settings.threshold)
    return factors / factors.mean()


def repeat_factors(pixels: np.ndarray, threshold: float) -> np.ndarray:
    """Repeat factors of slices: the largest ``max(1, sqrt(threshold / f))`` of the organs in each.

    The rule is that of LVIS (Gupta, Dollar, Girshick, CVPR 2019, appendix B) but for ``f``, which is the organ's share
    of the labelled pixels there: as a share of the slices it is small for every single vertebra, of which nearly every
    slice of a trunk has one, so that all slices would come alike.

    Args:
        pixels: int [N, organs], of each organ in each slice, without the background.
        threshold: share from which an organ is frequent.

    Returns:
        float64 [N], from 1 on.

    >>> repeat_factors(np.array([[99, 0], [99, 2]]), threshold=0.04)
    array([1., 2.])
    """
    frequencies = pixels.sum(0) / max(pixels.sum(), 1)
    factors = np.ones(pixels.shape[1])
    rare = (frequencies > 0) & (frequencies < threshold)
    factors[rare] = np.sqrt(threshold / frequencies[rare])
    return np.where(pixels > 0, factors, 1.0).max(1)
