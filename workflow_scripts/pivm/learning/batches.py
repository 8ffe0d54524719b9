"""Which slices a step sees."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch

from pivm.seeds import step_generator


class StepRows(Protocol):
    """Row numbers of each step's batch."""

    def at(self, step: int, /) -> torch.Tensor:
        """Rows, int64 [batch], of one step."""
        ...


class Batches:
    """Row numbers of each step's batch: a new permutation per epoch, the tail carried into the next.

    Args:
        rows: how many rows there are.
        batch: how many a step sees.
        seed: of the permutations.
        first: number of the first row.
        repeats: float [rows], how often each row comes compared with the others; None: all alike. An epoch stays as
            long as it was: a row comes as often as its share of the sum says, rounded up or down by a draw per epoch
            (systematic sampling).
    """

    def __init__(self, rows: int, batch: int, seed: int, first: int = 0, repeats: np.ndarray | None = None):
        self.rows, self.batch, self.seed, self.first = rows, batch, seed, first
        self._ends = None if repeats is None else np.cumsum(repeats) * (rows / np.sum(repeats))
        self._order: dict[int, torch.Tensor] = {}

    def at(self, step: int) -> torch.Tensor:
        """Rows, int64 [batch], of one step."""
        return self.stretch(step * self.batch, self.batch)

    def stretch(self, start: int, count: int) -> torch.Tensor:
        """Rows, int64 [count], from a place of the endless row of epochs on."""
        picked = [self._permutation(p // self.rows)[p % self.rows] for p in range(start, start + count)]
        return torch.stack(picked) + self.first if picked else torch.empty(0, dtype=torch.long)

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch not in self._order:
            self._order = {e: o for e, o in self._order.items() if e >= epoch - 1}
            generator = step_generator(self.seed, "epoch", epoch)
            order = torch.randperm(self.rows, generator=generator)
            if self._ends is not None:
                points = np.arange(self.rows) + float(torch.rand((), generator=generator, dtype=torch.float64))
                # the last end can fall short of the number of rows by rounding
                found = np.searchsorted(self._ends, points, side="right").clip(max=self.rows - 1)
                order = torch.from_numpy(found)[order]
            self._order[epoch] = order
        return self._order[epoch]


class Mixed:
    """Two pools in one batch at a fixed share, each walked in epochs of its own.

    Slice ``i`` of the training is of the second pool where ``floor((i + 1) share) > floor(i share)``, so that the share
    holds exactly in every stretch that it divides, and to less than one slice in any other.

    Args:
        one: the first pool.
        other: the second pool, of equal batch.
        share: of the second pool, 0 to 1.
    """

    def __init__(self, one: Batches, other: Batches, share: float):
        self._one, self._other, self._share = one, other, exactly(share)

    def at(self, step: int) -> torch.Tensor:
        """Rows, int64 [batch], of one step."""
        places = range(step * self._one.batch, (step + 1) * self._one.batch)
        before = [self._others_before(place) for place in (*places, places.stop)]
        of_other = torch.tensor([end > start for start, end in pairwise(before)])
        rows, others = torch.empty(len(places), dtype=torch.long), before[-1] - before[0]
        rows[of_other] = self._other.stretch(before[0], others)
        rows[~of_other] = self._one.stretch(places.start - before[0], len(places) - others)
        return rows

    def _others_before(self, place: int) -> int:
        return place * self._share.numerator // self._share.denominator


class Staged:
    """One pool alone for the first steps, then another alone.

    Args:
        first: the pool of the first steps.
        then: the pool of the rest.
        steps: how many are of the first.
    """

    def __init__(self, first: Batches, then: Batches, steps: int):
        self._first, self._then, self._steps = first, then, steps

    def at(self, step: int) -> torch.Tensor:
        """Rows, int64 [batch], of one step."""
        return self._first.at(step) if step < self._steps else self._then.at(step - self._steps)


def exactly(share: float) -> Fraction:
    """A share as it is written, where the float is off by a rounding.

    >>> int(0.29 * 100), int(exactly(0.29) * 100)
    (28, 29)
    """
    return Fraction(str(share))
