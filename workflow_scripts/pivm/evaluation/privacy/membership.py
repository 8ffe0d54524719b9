"""The membership attack: a diffusion model denoises what it was trained on better than what it was not.

The attacker of Carlini et al. (2023, section 5.1) and Matsumoto et al. (2023): the loss at several noise levels, low
for members. The unit is the patient, whose slices are judged together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.evaluation.crossed import CrossedScores, crossed_mean
from pivm.evaluation.intervals import highest_rate_unseen, interval_on_scale
from pivm.generators.protocol import LossTeller
from pivm.seeds import derived_seed

#: columns of the losses
LOSSES = ["patient", "member", "level", "loss"]
#: share of non-members that an attacker may take for members
FALSE_POSITIVES = 0.01


class Attack(NamedTuple):
    """How well the loss tells members from others.

    Attributes:
        auc: probability that a member has a lower loss than another patient; 0.5 is chance.
        low: lower end of its interval; None where one side has a single patient.
        high: upper end; None likewise.
        p: one-sided p that it is chance or worse (Mann and Whitney).
        tpr: share of the members that are found where at most 1 % of the others are taken for members.
        tpr_low: lower end; None for one member.
        tpr_high: upper end; None likewise.
        members: patients.
        others: patients.
    """

    auc: float
    low: float | None
    high: float | None
    p: float
    tpr: float
    tpr_low: float | None
    tpr_high: float | None
    members: int
    others: int

    @property
    def resolved(self) -> bool:
        """There are others enough for a false-positive rate of 1 % to be more than none at all."""
        return self.others >= 1 / FALSE_POSITIVES

    @property
    def chance_tpr(self) -> float:
        """The share of members that is found where the loss says nothing."""
        return (int(FALSE_POSITIVES * self.others) + 1) / (self.others + 1)


def membership_losses(
    generator: LossTeller, prior: Prior, store: SliceStore, levels: Sequence[float], draws: int, batch: int
) -> pd.DataFrame:
    """Loss of each training, validation and test patient, mean over slices and draws of noise.

    Args:
        generator: under attack.
        prior: its organ means.
        store: its split says who was in the training.
        levels: of noise, as shares of the noise steps.
        draws: of noise at each level, the same for every slice.
        batch: slices at once.

    Returns:
        Columns :data:`LOSSES`.
    """
    patients, tables = store.index["patient"].to_numpy(), []
    for part in ("train", "val", "test"):
        rows = store.rows(part)
        losses = np.zeros((len(levels), len(rows)))
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            label_map, hu = prior.label_map(store.labels[some], store.body[some]), store.hu[some]
            for i, level in enumerate(levels):
                seeds = [derived_seed("membership", level, draw) for draw in range(draws)]
                each = [generator.denoising_losses(hu, label_map, level, seed) for seed in seeds]
                losses[i, start : start + batch] = np.mean(each, axis=0)
        for level, of_slices in zip(levels, losses, strict=True):
            slices = pd.DataFrame({"patient": patients[rows], "loss": of_slices})
            mean = slices.groupby("patient", as_index=False)["loss"].mean()
            tables.append(mean.assign(member=part == "train", level=level))
    return pd.concat(tables, ignore_index=True)[LOSSES]


def attack(losses: pd.DataFrame, confidence: float) -> Attack:
    """Attack by the losses of patients.

    Several levels count as one number, the mean of the logarithm of the loss: each level is then worth the same,
    however large its loss. Several trainings of a generator count by the mean of what each says, so that the interval
    holds for new patients and these trainings.

    Args:
        losses: columns :data:`LOSSES` and, for several trainings, ``generator_seed``.
        confidence: of the intervals.

    Raises:
        ValueError: there is no member, or nobody else.
    """
    if "generator_seed" not in losses:
        losses = losses.assign(generator_seed=0)
    losses = losses.assign(loss=np.log(losses["loss"].clip(lower=np.finfo(float).tiny)))
    scores = losses.pivot_table(index=["member", "patient"], columns="generator_seed", values="loss", aggfunc="mean")
    member = scores.index.get_level_values("member").to_numpy(bool)
    inside, outside = scores.to_numpy()[member], scores.to_numpy()[~member]
    if not len(inside) or not len(outside):
        raise ValueError(f"{len(inside)} members and {len(outside)} others: an attack needs both")
    # [members, others, trainings]: 1 where the member has the lower loss, 0.5 where they are equal
    wins = (inside[:, None] < outside[None]) + 0.5 * (inside[:, None] == outside[None])
    auc = float(wins.mean())
    low, high = _interval(wins.mean(axis=2), auc, confidence)
    p = stats.mannwhitneyu(inside.mean(axis=1), outside.mean(axis=1), alternative="less").pvalue
    found = _found(inside, outside)
    rate = crossed_mean(CrossedScores(found[:, :, None], ("patient", "generator_seed")), confidence, "logit")
    return Attack(auc, low, high, float(p), rate.mean, rate.low, rate.high, len(inside), len(outside))


def _interval(wins: np.ndarray, auc: float, confidence: float) -> tuple[float | None, float | None]:
    """DeLong et al. (1988): the variance of what each member and each other patient contribute, on the logit scale."""
    members, others = wins.shape
    if min(members, others) < 2:
        return None, None
    if auc in (0.0, 1.0):  # nothing varies: how often may the smaller group hold what was never seen?
        widest = highest_rate_unseen(min(members, others), confidence)
        return (0.0, widest) if auc == 0 else (1 - widest, 1.0)
    parts = [wins.mean(axis=1).var(ddof=1) / members, wins.mean(axis=0).var(ddof=1) / others]
    if sum(parts) == 0:  # all losses are equal
        return auc, auc
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (members - 1) + parts[1] ** 2 / (others - 1))
    return interval_on_scale(auc, math.sqrt(sum(parts)), freedom, confidence, "logit")


def _found(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Which members lie below the loss that at most 1 % of the others lie below, float64 [members, trainings]."""
    allowed = int(FALSE_POSITIVES * len(outside))
    return (inside < np.sort(outside, axis=0)[allowed]).astype(float)
