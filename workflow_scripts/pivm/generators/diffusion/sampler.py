"""Samplers: the multistep solvers of diffusers on this project's noise process."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from pivm.generators.diffusion.noise import process_betas
from pivm.generators.diffusion.settings import NoiseSettings

_PREDICTION = {"v": "v_prediction", "epsilon": "epsilon", "sample": "sample"}


def make_scheduler(name: str, noise: NoiseSettings) -> Any:
    """A scheduler of diffusers on the noise process of a training; :func:`sample` sets its steps.

    Args:
        name: ``dpm++`` (DPM-Solver++ 2M), ``ddim`` or ``ddpm`` (ancestral sampling, the reference).
        noise: of the training.
    """
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    common = {
        "num_train_timesteps": noise.steps,
        "trained_betas": process_betas(noise.steps, noise.zero_terminal_snr, noise.shift).numpy(),
        "prediction_type": _PREDICTION[noise.prediction],
        "rescale_betas_zero_snr": noise.zero_terminal_snr,
        "timestep_spacing": "trailing",
    }
    if name == "dpm++":
        return DPMSolverMultistepScheduler(
            **common, algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero"
        )
    if name == "ddim":
        return DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    return DDPMScheduler(**common, clip_sample=False)


Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class Begun:
    """Samples that have taken their first steps.

    Attributes:
        z: [N, 1, H, W].
        scheduler: with the solver's memory of these steps.
        done: steps taken.
    """

    z: torch.Tensor
    scheduler: Any
    done: int

    def part(self, rows: slice) -> Begun:
        """Some of the samples, to go on with alone."""
        scheduler = copy.copy(self.scheduler)
        if hasattr(scheduler, "model_outputs"):  # of the multistep solver; the others have no memory
            scheduler.model_outputs = [None if one is None else one[rows] for one in scheduler.model_outputs]
        return Begun(self.z[rows], scheduler, self.done)


@torch.no_grad()
def begin(predict: Predict, start: torch.Tensor, scheduler: Any, steps: int, until: float) -> Begun:
    """The first steps of :func:`sample`, down to a noise step.

    Args:
        predict: as of :func:`sample`.
        start: noise [N, 1, H, W].
        scheduler: of :func:`make_scheduler`, but not of ``ddpm`` where any step is taken.
        steps: network evaluations in all.
        until: the last noise step that is taken; ``inf`` for none.
    """
    scheduler.set_timesteps(steps)  # also clears the solver's memory of the last batch
    first = [t for t in scheduler.timesteps if int(t) >= until]
    z = start
    for t in first:
        z = scheduler.step(predict(z, _steps(z, t)), t, z).prev_sample
    return Begun(z, copy.copy(scheduler), len(first))


@torch.no_grad()
def finish(predict: Predict, begun: Begun, generator: torch.Generator) -> torch.Tensor:
    """The other steps of :func:`sample`, after :func:`begin`."""
    z, scheduler = begun.z, begun.scheduler
    for t in scheduler.timesteps[begun.done :]:
        z = scheduler.step(predict(z, _steps(z, t)), t, z, generator=generator).prev_sample
    return z


def sample(
    predict: Predict, start: torch.Tensor, scheduler: Any, steps: int, generator: torch.Generator
) -> torch.Tensor:
    """Run a scheduler from noise to a clean signal.

    Args:
        predict: (z_t [N, 1, H, W], t [N]) -> prediction of the same shape.
        start: noise [N, 1, H, W].
        scheduler: of :func:`make_scheduler`.
        steps: network evaluations.
        generator: source of the noise that ``ddpm`` adds at every step.

    Returns:
        float [N, 1, H, W].
    """
    return finish(predict, begin(predict, start, scheduler, steps, math.inf), generator)


def _steps(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.full((len(z),), int(t), dtype=torch.long, device=z.device)
