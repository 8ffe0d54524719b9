"""Voxels of a CT to int16 HU, slab by slab, with what their range says about them."""

from __future__ import annotations

import numpy as np

from pivm.errors import DataError


class HuRange:
    """Takes up the voxels of a CT slab by slab and turns them to int16 HU.

    Args:
        place: for messages; padding_hu: values below it are counted.
    """

    def __init__(self, place: str, padding_hu: float):
        self.place, self.padding_hu = place, padding_hu
        self.low, self.high, self.padding, self.wrong = np.inf, -np.inf, 0, 0

    def take(self, values: np.ndarray) -> np.ndarray:
        """int16 HU of one slab.

        Raises:
            DataError: voxels that are no numbers, or beyond int16.
        """
        if values.dtype.kind == "f":
            finite = np.isfinite(values)
            self.wrong += values.size - int(np.count_nonzero(finite))
            values = values if finite.all() else np.where(finite, values, 0)
        low, high = float(values.min()), float(values.max())
        if low < -32768 or high > 32767:
            raise DataError(f"{self.place}: values {low:g} to {high:g} do not fit HU in int16")
        self.low, self.high = min(self.low, low), max(self.high, high)
        if low < self.padding_hu:
            self.padding += int(np.count_nonzero(values < self.padding_hu))
        return (np.rint(values) if values.dtype.kind == "f" else values).astype(np.int16, copy=False)

    def check(self) -> None:
        """Raises DataError where voxels were NaN or infinite, or their range is not that of a CT in HU."""
        low, high = self.low, self.high
        if self.wrong:
            raise DataError(f"{self.place}: {self.wrong} voxels are NaN or infinite, expected finite HU")
        if low == high:
            raise DataError(f"{self.place}: every voxel is {low:g}, expected a CT in HU")
        if high - low < 500:
            raise DataError(f"{self.place}: values {low:g} to {high:g} span less than 500, so they are not in HU")
        if low >= 0:
            raise DataError(
                f"{self.place}: no value below 0 (found {low:g} to {high:g}); HU of air is -1000, "
                "so the rescale intercept seems not to be applied"
            )
