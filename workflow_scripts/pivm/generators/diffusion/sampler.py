"""Samplers: the solvers of diffusers on this project's noise process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pivm.generators.diffusion.noise import process_betas
from pivm.generators.diffusion.settings import NoiseSettings

_PREDICTION = {"v": "v_prediction", "epsilon": "epsilon", "sample": "sample"}


def make_scheduler(name: str, noise: NoiseSettings) -> Any:
    """A scheduler of diffusers on the noise process of a training; :func:`sample` sets its steps.

    Args:
        name: ``dpm++`` (DPM-Solver++ 2M), ``ddim`` (which is its first order), or ``ddpm`` (ancestral sampling, the
            reference).
        noise: of the training.
    """
    common = {
        "num_train_timesteps": noise.steps,
        "trained_betas": process_betas(noise.steps, noise.zero_terminal_snr, noise.shift).numpy(),
        "prediction_type": _PREDICTION[noise.prediction],
        "rescale_betas_zero_snr": noise.zero_terminal_snr,
    }
    if name == "ddpm":
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        return DDPMScheduler(**common, clip_sample=False)
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    order = {"dpm++": 2, "ddim": 1}[name]
    return DPMSolverMultistepScheduler(
        **common, algorithm_type="dpmsolver++", solver_order=order, final_sigmas_type="zero"
    )


def noise_steps(steps: int, evaluations: int, spacing: float) -> list[int]:
    """The noise steps at which the network is evaluated: from the last down, T (1 - i / n)^spacing before rounding.

    Args:
        steps: T, of the training.
        evaluations: n, at most T.
        spacing: 1 evenly; below 1 closer at high noise, above 1 at low noise.
    """
    left = (steps * (1 - np.arange(evaluations) / evaluations) ** spacing).round().astype(int) - 1
    found: list[int] = []
    for i, step in enumerate(left.tolist()):
        highest = found[-1] - 1 if found else steps - 1
        found.append(min(max(step, evaluations - 1 - i), highest))
    return found


Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@torch.no_grad()
def sample(
    predict: Predict,
    start: torch.Tensor,
    scheduler: Any,
    steps: int,
    generator: torch.Generator | list[torch.Generator],
    spacing: float = 1.0,
) -> torch.Tensor:
    """Run a scheduler from noise to a clean signal.

    Args:
        predict: (z_t [N, 1, H, W], t [N]) -> prediction of the same shape.
        start: noise [N, 1, H, W].
        scheduler: of :func:`make_scheduler`.
        steps: network evaluations.
        generator: source of the noise that ``ddpm`` adds at every step, for all samples or one for each.
        spacing: of these evaluations (:func:`noise_steps`).

    Returns:
        float [N, 1, H, W].
    """
    at = noise_steps(scheduler.config.num_train_timesteps, steps, spacing)
    scheduler.set_timesteps(timesteps=at)  # also clears the solver's memory of the last batch
    z = start
    for t in scheduler.timesteps:
        now = torch.full((len(z),), int(t), dtype=torch.long, device=z.device)
        z = scheduler.step(predict(z, now), t, z, generator=generator).prev_sample
    return z
