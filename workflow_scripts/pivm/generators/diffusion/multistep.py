"""DPM-Solver++ of second order in its multistep form (Lu et al. 2022), for a network of any prediction.

diffusers has it as well, and the tests compare the two; its import takes longer than many a volume.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from pivm.generators.diffusion.noise import process_betas, rescale_to_zero_terminal_snr
from pivm.generators.diffusion.settings import NoiseSettings

#: signal power of a last step of pure noise: small, but it can be divided by
LEAST_SIGNAL = 2.0**-24


class Stepped(NamedTuple):
    """What a step leads to, named as in diffusers."""

    prev_sample: torch.Tensor


class MultistepSolver:
    """The solver, with the methods of a scheduler of diffusers that sampling calls.

    Attributes:
        timesteps: noise steps that are evaluated, int64 [N], from the last on.
        signal, noise: amplitudes there and at the end, [N + 1].
    """

    def __init__(self, noise: NoiseSettings):
        betas = process_betas(noise.steps, noise.zero_terminal_snr, noise.shift)
        if noise.zero_terminal_snr:
            betas = rescale_to_zero_terminal_snr(betas)
        power = (1 - betas).cumprod(0)
        if noise.zero_terminal_snr:
            power[-1] = LEAST_SIGNAL
        self._prediction, self._noise_over_signal = noise.prediction, ((1 - power) / power).sqrt()
        self.set_timesteps(1)

    def set_timesteps(self, steps: int) -> None:
        """Spread the steps evenly, from the last noise step on, and forget the last samples."""
        levels = len(self._noise_over_signal)
        self.timesteps = torch.arange(levels, 0, -levels / steps, dtype=torch.float64).round().long() - 1
        ratio = torch.cat([self._noise_over_signal[self.timesteps], torch.zeros(1)])  # the end is clean
        self.signal = 1 / (ratio**2 + 1).sqrt()
        self.noise = ratio * self.signal
        self._log_snr = self.signal.log() - self.noise.log()
        self._done, self._before = 0, None

    def step(self, prediction: torch.Tensor, _t: object, z: torch.Tensor, generator: object = None) -> Stepped:
        """From one noise step to the next.

        Args:
            prediction: of the network.
            z: the sample at this step.
            generator: not used, nothing is drawn.
        """
        k = self._done
        clean = self._clean(prediction, z)
        h = self._log_snr[k + 1] - self._log_snr[k]
        gain = self.signal[k + 1] * ((-h).exp() - 1)
        after = (self.noise[k + 1] / self.noise[k]) * z - gain * clean
        if self._before is not None and k < len(self.timesteps) - 1:
            ratio = (self._log_snr[k] - self._log_snr[k - 1]) / h
            after = after - 0.5 * gain * ((1 / ratio) * (clean - self._before))
        self._done, self._before = k + 1, clean
        return Stepped(after)

    def _clean(self, prediction: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        signal, noise = self.signal[self._done], self.noise[self._done]
        if self._prediction == "v":
            return signal * z - noise * prediction
        return prediction if self._prediction == "sample" else (z - noise * prediction) / signal
