"""One training on several GPUs or nodes: torch's DistributedDataParallel, started by torchrun.

Every process runs the same function; the batch of a step stays what the config says and is shared out. Anything that
sets ``MASTER_ADDR``, ``MASTER_PORT``, ``WORLD_SIZE``, ``RANK`` and ``LOCAL_RANK`` can start the processes.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import distributed

from pivm.errors import ConfigError, PivmError
from pivm.learning.settings import ComputeSettings

log = logging.getLogger("pivm")
_SELF = "pivm.learning.processes"


def world() -> int:
    """Number of processes of this training."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main() -> bool:
    """Whether this process is the one that writes files and messages."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def part_of(batch: int, key: str) -> slice:
    """The rows of a step's batch that this process takes.

    Args:
        key: the config key of the batch.

    Raises:
        ConfigError: the batch cannot be shared out evenly.
    """
    if batch % world():
        raise ConfigError(key, f"found {batch}, expected a multiple of the {world()} processes that share it")
    rank, own = (distributed.get_rank() if distributed.is_initialized() else 0), batch // world()
    return slice(rank * own, (rank + 1) * own)


def mean_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes."""
    if distributed.is_initialized():
        distributed.all_reduce(values)
        values = values / world()
    return values


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process, or the CPU."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if device.type == "cuda" else device


class _Loss(torch.nn.Module):
    """A loss as a module over the model it is computed with, so that gradients of the model are synchronised."""

    def __init__(self, model: torch.nn.Module, loss_at: Callable[[int], torch.Tensor]):
        super().__init__()
        self.model, self._loss_at = model, loss_at

    def forward(self, step: int) -> torch.Tensor:
        return self._loss_at(step)


def share_gradients(model: torch.nn.Module, loss_at: Callable[[int], torch.Tensor]) -> Callable[[int], torch.Tensor]:
    """``loss_at`` whose backward pass averages the gradients over the processes."""
    if not distributed.is_initialized():
        return loss_at
    return torch.nn.parallel.DistributedDataParallel(_Loss(model, loss_at), gradient_as_bucket_view=True)


def launch(work: Callable[..., None], arguments: dict, compute: ComputeSettings, log_file: Path) -> None:
    """Run ``work(**arguments)``, here or in the processes that the config asks for.

    Args:
        work: a function of a module.
        arguments: values that JSON can hold.
        compute: its ``devices`` and ``launcher``.
        log_file: receives all messages.

    Raises:
        ConfigError: more GPUs are asked for than the job has.
        PivmError: a process failed, with the message of the error where it was one for people.
    """
    count = torch.cuda.device_count() if compute.devices == "all" else compute.devices
    if count <= 1 and not compute.launcher:
        return work(**arguments)
    if arguments.get("device") == "cuda" and not compute.launcher and count > torch.cuda.device_count():
        raise ConfigError(
            "compute.devices", f"found {count}, but {platform.node()} has {torch.cuda.device_count()} GPUs for this job"
        )
    start = compute.launcher or f"{shlex.quote(sys.executable)} -m torch.distributed.run --standalone " + (
        f"--nproc-per-node {count}"
    )
    task, failure = Path(log_file).with_suffix(".task.json"), Path(log_file).with_suffix(".error")
    failure.unlink(missing_ok=True)
    facts = {"module": work.__module__, "function": work.__name__, "arguments": arguments}
    task.write_text(json.dumps({**facts, "failure": str(failure), "log": str(log_file)}, indent=1), encoding="utf-8")
    library = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH")]))
    with open(log_file, "a", encoding="utf-8") as messages:
        command = [*shlex.split(os.path.expandvars(start)), "-m", _SELF, str(task)]
        log.info("starting %s", shlex.join(command))
        done = subprocess.run(command, stdout=messages, stderr=messages, env={**os.environ, "PYTHONPATH": paths})
    if done.returncode:
        known = (
            failure.read_text(encoding="utf-8")
            if failure.exists()
            else f"a training process failed; its messages are in {log_file}"
        )
        failure.unlink(missing_ok=True)
        raise PivmError(known)
    task.unlink()


def _run_task(path: Path) -> int:
    """One process of :func:`launch`."""
    task = json.loads(path.read_text(encoding="utf-8"))
    gpu = task["arguments"].get("device") == "cuda"
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if gpu else "gloo")
    if is_main():
        log.setLevel(logging.INFO)
        log.addHandler(logging.FileHandler(task["log"], encoding="utf-8"))
    try:
        getattr(importlib.import_module(task["module"]), task["function"])(**task["arguments"])
    except PivmError as error:
        Path(task["failure"]).write_text(str(error), encoding="utf-8")
        return 1
    finally:
        distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(_run_task(Path(sys.argv[1])))
