"""How well organs are found in synthetic slices, as a share of how well they are found in the scans' own."""

from __future__ import annotations

import pandas as pd

#: method of the scans' own slices, which the others are held against
ORIGINAL = "original"
#: pixels of an organ in a slice from which on it counts as large
LARGE = 100


def organ_shares(cases: pd.DataFrame) -> pd.DataFrame:
    """The shares of each organ.

    Args:
        cases: of all methods, :data:`ORIGINAL` among them (:class:`pivm.evaluation.agreement.Agreement`).

    Returns:
        One row per organ that is found in original slices: ``pixels``, its mean size in a slice that shows it, and for
        every other method the share of the mean Dice over patients and seeds.
    """
    held = cases[cases["truth_voxels"] > 0]
    own = held[held["method"] == ORIGINAL]
    sums = own.groupby("label", sort=False)[["truth_voxels", "truth_slices"]].sum()
    dice = held.groupby(["label", "method"])["dice"].mean().unstack()
    dice = dice.reindex(index=sums.index, columns=held["method"].unique())
    dice = dice[dice[ORIGINAL] > 0]
    shares = dice.drop(columns=ORIGINAL).div(dice[ORIGINAL], axis=0)
    shares.insert(0, "pixels", (sums["truth_voxels"] / sums["truth_slices"]).reindex(shares.index))
    return shares
