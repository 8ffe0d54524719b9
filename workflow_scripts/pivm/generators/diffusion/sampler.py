"""Samplers: the solvers of diffusers on this project's noise process."""

from __future__ import annotations

from collections.abc import Callable
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
    common = {
        "num_train_timesteps": noise.steps,
        "trained_betas": process_betas(noise.steps, noise.zero_terminal_snr, noise.shift).numpy(),
        "prediction_type": _PREDICTION[noise.prediction],
        "rescale_betas_zero_snr": noise.zero_terminal_snr,
        "timestep_spacing": "trailing",
    }
    if name == "dpm++":
        from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

        return DPMSolverMultistepScheduler(
            **common, algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero"
        )
    if name == "ddim":
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        return DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    return DDPMScheduler(**common, clip_sample=False)


Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@torch.no_grad()
def sample(
    predict: Predict,
    start: torch.Tensor,
    scheduler: Any,
    steps: int,
    generator: torch.Generator | list[torch.Generator],
) -> torch.Tensor:
    """Run a scheduler from noise to a clean signal.

    Args:
        predict: (z_t [N, 1, H, W], t [N]) -> prediction of the same shape.
        start: noise [N, 1, H, W].
        scheduler: of :func:`make_scheduler`.
        steps: network evaluations.
        generator: source of the noise that ``ddpm`` adds at every step, for all samples or one for each.

    Returns:
        float [N, 1, H, W].
    """
    scheduler.set_timesteps(steps)  # also clears the solver's memory of the last batch
    z = start
    for t in scheduler.timesteps:
        now = torch.full((len(z),), int(t), dtype=torch.long, device=z.device)
        z = scheduler.step(predict(z, now), t, z, generator=generator).prev_sample
    return z
