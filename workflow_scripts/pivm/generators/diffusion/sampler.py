"""Samplers: the multistep solvers of diffusers on this project's noise process."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pivm.generators.diffusion.noise import cosine_betas

_PREDICTION = {"v": "v_prediction", "epsilon": "epsilon", "sample": "sample"}


def make_scheduler(
    name: str, steps: int, noise_steps: int, zero_terminal_snr: bool, prediction: str, shift: float = 1.0
):
    """A diffusers scheduler with its timesteps set.

    Args:
        name: ``dpm++`` (DPM-Solver++ 2M), ``ddim`` or ``ddpm`` (ancestral sampling, the reference).
        steps: network evaluations; noise_steps, shift: of the training process.
    """
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

    common = {
        "num_train_timesteps": noise_steps,
        "trained_betas": cosine_betas(noise_steps, shift).numpy(),
        "prediction_type": _PREDICTION[prediction],
        "rescale_betas_zero_snr": zero_terminal_snr,
        "timestep_spacing": "trailing",
    }
    if name == "dpm++":
        scheduler = DPMSolverMultistepScheduler(
            **common, algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero"
        )
    elif name == "ddim":
        scheduler = DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    else:
        scheduler = DDPMScheduler(**common, clip_sample=False)
    scheduler.set_timesteps(steps)
    return scheduler


@torch.no_grad()
def sample(
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    scheduler,
    generator: torch.Generator,
) -> torch.Tensor:
    """Run a scheduler from noise to a clean signal.

    Args:
        predict: (z_t [N, 1, H, W], t [N]) -> prediction of the same shape.
        start: noise [N, 1, H, W]; generator: source of the noise that ``ddpm`` adds at every step.

    Returns:
        float [N, 1, H, W].
    """
    scheduler.set_timesteps(scheduler.num_inference_steps)  # clears the solver's memory of the last batch
    z = start
    for t in scheduler.timesteps:
        steps = torch.full((len(z),), int(t), dtype=torch.long, device=z.device)
        z = scheduler.step(predict(z, steps), t, z, generator=generator).prev_sample
    return z
