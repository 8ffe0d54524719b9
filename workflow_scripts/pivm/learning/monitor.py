"""What a training reports: losses that a second run repeats exactly, timings that it does not, and TensorBoard."""

from __future__ import annotations

import csv
import logging
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pivm.errors import PivmError
from pivm.learning import processes

log = logging.getLogger("pivm")
#: losses.csv: the same in every run with the same seed
LOSSES = ("step", "learning_rate", "loss", "validation_loss", "gradient_norm")
#: stats.csv: depends on the machine
STATS = ("step", "seconds", "step_seconds", "samples_per_second", "memory_mib", "gpu_memory_mib")
_MIB = 1 << 20


class Monitor:
    """Sums over a period of steps, kept on the device, so that no step waits for the host.

    Args:
        batch: slices per step.
        steps: of the whole training.
        scaled: whether a step with an infinite gradient is skipped (fp16) and no fault.
        tensorboard: folder of the event files.
        kept: path of the saved state, named when the loss explodes.
    """

    def __init__(
        self,
        name: str,
        device: torch.device,
        batch: int,
        steps: int,
        scaled: bool,
        tensorboard: Path | None,
        kept: Path | None,
    ):
        self.name, self.batch, self.steps, self.scaled, self.kept = name, batch, steps, scaled, kept
        self.rows: list[dict] = []
        self._sums = torch.zeros(2, device=device)
        self._bad = torch.full((), float("inf"), device=device)
        self._spent, self._clock = 0.0, time.perf_counter()
        self._folder, self._writer = tensorboard if processes.is_main() else None, None

    def add(self, step: int, loss: torch.Tensor, norm: torch.Tensor) -> None:
        """Count one step: its loss and the norm of its gradient before clipping."""
        finite = torch.isfinite(loss.detach())
        if self.scaled:
            norm = torch.where(torch.isfinite(norm), norm, 0.0)
        finite = finite & torch.isfinite(norm)
        self._bad = torch.where(finite, self._bad, self._bad.clamp(max=step + 1))
        self._sums += torch.stack([loss.detach(), norm])

    def require_finite(self) -> None:
        """Raises PivmError where a loss or gradient was NaN or infinite, with the first such step."""
        step = float(self._bad)
        if step != float("inf"):
            kept = self.kept if self.kept and self.kept.exists() else "none"
            raise PivmError(
                f"{self.name}: the loss or its gradient became NaN or infinite at step {int(step)}; "
                f"lower the learning rate (last good state: {kept})"
            )

    def close(
        self,
        done: int,
        rate: float,
        validate: Callable[[], float] | None,
        pictures: Callable[[], torch.Tensor] | None = None,
    ) -> None:
        """End a period after ``done`` steps with a row of losses and stats, and pictures for TensorBoard."""
        steps = done - (self.rows[-1]["step"] if self.rows else 0)
        loss, norm = processes.mean_over_processes(self._sums / steps).tolist()
        self.require_finite()
        spent = self._time_spent()
        row = {"step": done, "learning_rate": rate, "loss": loss, "gradient_norm": norm}
        row |= {"validation_loss": validate() if validate and processes.is_main() else None}
        before = self.rows[-1]["seconds"] if self.rows else 0.0
        row |= {"seconds": before + spent, "step_seconds": spent / steps}
        row |= {"samples_per_second": self.batch * steps / spent, **_peak_memory(self._sums.device)}
        self.rows.append(row)
        log.info("%s: %s", self.name, _told(row, self.steps))
        self._show(row, pictures)
        self._sums.zero_()
        self._spent, self._clock = 0.0, time.perf_counter()

    def state(self) -> dict:
        """What a resumed run needs to go on in the middle of a period."""
        self.require_finite()
        return {"rows": self.rows, "sums": self._sums, "spent": self._time_spent()}

    def restore(self, state: dict) -> None:
        """The inverse of :meth:`state`."""
        self.rows, self._spent = state["rows"], state["spent"]
        self._sums.copy_(state["sums"])
        self._clock = time.perf_counter()

    def finish(self, losses: Path) -> None:
        """Write the rows; see :func:`write_log`."""
        if processes.is_main():
            write_log(self.rows, losses)
        if self._writer:
            self._writer.close()

    def _time_spent(self) -> float:
        return self._spent + time.perf_counter() - self._clock

    def _show(self, row: dict, pictures: Callable[[], torch.Tensor] | None) -> None:
        if self._folder is None:
            return
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            if len(self.rows) == 1:
                shutil.rmtree(self._folder, ignore_errors=True)  # curves of an earlier training of this name
            self._writer = SummaryWriter(str(self._folder), purge_step=row["step"])
        for key, value in row.items():
            if key != "step" and value is not None:
                self._writer.add_scalar(key, value, row["step"])
        if pictures:
            self._writer.add_images("samples", pictures(), row["step"])


def _told(row: dict, steps: int) -> str:
    """A row for people."""
    parts = [f"step {row['step']} of {steps}", f"loss {row['loss']:.4g}"]
    if row["validation_loss"] is not None:
        parts.append(f"validation loss {row['validation_loss']:.4g}")
    parts.append(f"{row['samples_per_second']:.3g} samples/s")
    if left := steps - row["step"]:
        parts.append(f"{left * row['step_seconds'] / 60:.1f} min to go")
    else:
        gpu = f", {row['gpu_memory_mib']} MiB on the GPU" if row["gpu_memory_mib"] else ""
        parts.append(f"took {row['seconds'] / 60:.1f} min, {row['memory_mib']} MiB{gpu}")
    return ", ".join(parts)


def _peak_memory(device: torch.device) -> dict:
    """Largest memory so far in MiB: of the process, and of torch on the GPU."""
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB
    on_gpu = torch.cuda.max_memory_allocated(device) / _MIB if device.type == "cuda" else None
    return {"memory_mib": round(resident), "gpu_memory_mib": on_gpu and round(on_gpu)}


def write_log(rows: list[dict], losses: Path) -> None:
    """Write ``losses.csv`` with the columns :data:`LOSSES`, and ``stats.csv`` with :data:`STATS` beside it."""
    for path, columns in ((Path(losses), LOSSES), (Path(losses).with_name("stats.csv"), STATS)):
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, lineterminator="\n", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
