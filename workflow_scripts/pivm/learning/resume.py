"""The saved state of a training, which outlives a job that was killed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pivm.errors import StateError, disk_error, first_line
from pivm.learning import processes
from pivm.learning.model_files import UNREADABLE

log = logging.getLogger("pivm")


class Resume:
    """Training state at an undeclared path, so that Snakemake does not delete it with the outputs.

    Args:
        path: the state file.
        every: seconds between two saves.
    """

    def __init__(self, path: Path | None, every: float = 60.0):
        self.path, self.every = Path(path) if path else None, every
        self._last = time.monotonic()
        self._kept = 0

    def load(self) -> dict | None:
        """The saved state, ``None`` where there is none; raises StateError where it cannot be read."""
        if self.path is None or not self.path.exists():
            return None
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
        except UNREADABLE as error:
            raise StateError(
                f"{self.path}: the saved state of this training cannot be read ({first_line(error)}); "
                "delete it to start anew"
            ) from None
        self._kept = state["step"]
        log.warning("resuming at step %d from %s", state["step"], self.path)
        return state

    def save(self, make: Callable[[], dict]) -> None:
        """Write what ``make`` returns when it is time again; a state with a NaN in it must make it raise.

        A full disk is a warning, and the state of before stays: the training may well end before a kill.
        """
        if self.path is None or time.monotonic() - self._last < self.every or not processes.is_main():
            return
        state = make()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        self._last = time.monotonic()
        try:
            with open(partial, "wb") as stream:  # torch's own writer would hide the reason
                torch.save(state, stream)
            os.replace(partial, self.path)
        except Exception as error:
            partial.unlink(missing_ok=True)
            full = disk_error(error)
            if full is None:
                raise
            kept = f"that of step {self._kept} is kept" if self.path.exists() else "none is kept yet"
            log.warning(
                "the state of step %d cannot be saved, %s (%s): %s; the training goes on",
                *(state["step"], kept, self.path.parent, full.strerror),
            )
        else:
            self._kept = state["step"]

    def beside(self, name: str) -> Resume:
        """The state of a training that comes before this one; it is written whenever it is asked for."""
        return Resume(self.path and self.path.with_name(f"{self.path.stem}-{name}{self.path.suffix}"), every=0.0)

    def clear(self) -> None:
        """Remove this state, and those that jobs with other settings left in the same folder."""
        if self.path is not None:
            for old in self.path.parent.glob("resume-*"):
                old.unlink()
