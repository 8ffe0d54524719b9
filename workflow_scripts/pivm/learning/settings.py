"""Config section ``compute``: how trainings use the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pivm.settings import setting


@dataclass(frozen=True)
class ComputeSettings:
    """Device, precision and processes of trainings."""

    device: Literal["auto", "cpu", "gpu"] = setting("auto: a GPU where there is one", "auto")
    require_device: bool = setting("stop where `device: gpu` finds no GPU instead of going on with the CPU", False)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "of training; auto: bf16 on a GPU, fp16 where it has no bf16, fp32 on a CPU", "auto"
    )
    compile: Literal["auto", True, False] = setting(
        "torch.compile; auto: on a GPU, for trainings of 5,000 steps and more", "auto"
    )
    threads: int = setting("CPU threads of a job that trains, synthesises or scores", 1, minimum=1)
    devices: int | Literal["all"] = setting("GPUs that train one generator together", 1, minimum=1)
    launcher: str | None = setting("several nodes: the command that starts the processes", None, min_length=1)
    tensorboard: bool = setting("event files of every training", True)
