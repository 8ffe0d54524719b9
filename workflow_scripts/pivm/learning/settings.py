"""Config section ``compute``: how trainings use the machine; and the names of the optimisers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pivm.settings import setting

#: see :mod:`pivm.learning.optimizers`
Optimizer = Literal["muon", "adamw"]
OPTIMIZER_HELP = "muon for the kernels of convolutions and AdamW for all else, or AdamW alone"


@dataclass(frozen=True)
class ComputeSettings:
    """Device, precision and processes of trainings."""

    device: Literal["auto", "cpu", "gpu"] = setting(
        "auto: a GPU where the job runs on a machine that has one; gpu: an error without one", "auto"
    )
    threads: int = setting(
        "CPU threads of a job that trains, synthesises or scores, whatever --cores is", 1, minimum=1, maximum=256
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "of training; auto: bf16 on a GPU, fp16 where it has no bf16, fp32 on a CPU", "auto"
    )
    compile: Literal["auto", True, False] = setting(
        "torch.compile; auto: on a GPU, for trainings of 5,000 steps and more", "auto"
    )
    graphs: bool = setting("on one GPU, passes of a network that is not compiled are CUDA graphs", True)
    devices: int | Literal["all"] = setting("GPUs that train one generator together", 1, minimum=1)
    launcher: str | None = setting("several nodes: the command that starts the processes", None, pattern=r"\S")
    tensorboard: bool = setting("event files of every training", True)
