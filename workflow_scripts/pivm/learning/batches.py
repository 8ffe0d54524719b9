"""Which slices a step sees."""

from __future__ import annotations

import torch

from pivm.seeds import step_generator


class Batches:
    """Row numbers of each step's batch: a new permutation per epoch, the tail carried into the next.

    Args:
        rows: how many rows there are.
        batch: how many a step sees.
    """

    def __init__(self, rows: int, batch: int, seed: int):
        self.rows, self.batch, self.seed = rows, batch, seed
        self._order: dict[int, torch.Tensor] = {}

    def at(self, step: int) -> torch.Tensor:
        """Rows [batch] of one step."""
        positions = torch.arange(step * self.batch, (step + 1) * self.batch)
        picked = [self._permutation(int(p) // self.rows)[int(p) % self.rows] for p in positions]
        return torch.stack(picked)

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch not in self._order:
            self._order = {e: o for e, o in self._order.items() if e >= epoch - 1}
            self._order[epoch] = torch.randperm(self.rows, generator=step_generator(self.seed, "epoch", epoch))
        return self._order[epoch]
