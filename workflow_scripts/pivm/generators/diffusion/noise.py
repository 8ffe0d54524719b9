"""The noise process: cosine schedule with zero terminal SNR, and the quantities a network may predict.

Forward process ``z_t = a_t x + s_t e`` with ``a_t^2 + s_t^2 = 1`` (DDPM, Ho et al. 2020); cosine schedule of
Nichol and Dhariwal 2021; rescaling to zero terminal SNR of Lin et al. 2024; v-prediction
``v = a_t e - s_t x`` of Salimans and Ho 2022.
"""

from __future__ import annotations

import math

import torch

PREDICTIONS = ("v", "epsilon", "sample")
#: share of signal in the last step of a process that does not end in pure noise: sampling divides by it where the
#: network predicts epsilon, and errors of a hundredth of that are as large as the image
TERMINAL_SIGNAL = 0.01


def cosine_betas(steps: int, shift: float = 1.0, terminal_signal: float = 0.0) -> torch.Tensor:
    """Betas of the cosine schedule, float32 [steps], before any rescaling.

    Args:
        steps: T.
        shift: factor on the ratio of signal to noise amplitude at every step (Hoogeboom et al. 2023, eq. 2).
            Below 1 more steps lie at high noise, where the mean of a whole organ is decided: noise averages
            out over its pixels, so that the mean outlasts the texture.
        terminal_signal: a_T of the last step; 0 lets it fall as far as the schedule goes.
    """
    # where signal^2 = 1 / (1 + (tan(angle) / shift)^2) has fallen to the terminal one
    last = math.atan(shift * math.sqrt(1 / terminal_signal**2 - 1)) / math.pi * 2 if terminal_signal else 1.0

    def level(t: float) -> float:
        angle = (t + 0.008) / 1.008 * last * math.pi / 2
        return 1 / (1 + (math.tan(angle) / shift) ** 2)

    betas = [min(1 - level((i + 1) / steps) / level(i / steps), 0.999) for i in range(steps)]
    return torch.tensor(betas, dtype=torch.float32)


def process_betas(steps: int, zero_terminal_snr: bool, shift: float) -> torch.Tensor:
    """Betas that training and sampling start from; with zero terminal SNR both rescale them."""
    return cosine_betas(steps, shift, 0.0 if zero_terminal_snr else TERMINAL_SIGNAL)


def rescale_to_zero_terminal_snr(betas: torch.Tensor) -> torch.Tensor:
    """Shift and scale sqrt(alpha bar) so that the last step is pure noise and the first is unchanged."""
    root = (1 - betas).cumprod(0).sqrt()
    first, last = root[0].clone(), root[-1].clone()
    root = (root - last) * first / (first - last)
    bar = root**2
    alphas = torch.cat([bar[:1], bar[1:] / bar[:-1]])
    return 1 - alphas


def organ_noise(
    white: torch.Tensor, common: torch.Tensor, label_map: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Noise of unit variance, of which the pixels of a label have a part in common.

    The mean of white noise over an organ of n pixels has a variance of 1 / n only, far less than organ means vary from
    patient to patient: sampling then decides them in its first steps, and parts of an organ for themselves.

    Args:
        white: float [N, 1, H, W].
        common: standard normal, float [N, K], one number for each label.
        label_map: int64 [N, H, W].
        shares: of the variance that is common, for each label, float [K].
    """
    of_pixel = common.gather(1, label_map.flatten(1)).view(label_map.shape)[:, None]
    share = shares[label_map][:, None]
    return (1 - share).sqrt() * white + share.sqrt() * of_pixel


class NoiseProcess:
    """Noise levels of a discrete diffusion.

    Args:
        steps: T.
        zero_terminal_snr: make step T - 1 pure noise; else it keeps :data:`TERMINAL_SIGNAL`.
        device: where the levels lie.
        shift: as :func:`cosine_betas`.

    Attributes:
        betas: float32 [T].
        signal: a_t, float32 [T].
        noise: s_t, float32 [T].
    """

    def __init__(self, steps: int, zero_terminal_snr: bool, device: torch.device | str = "cpu", shift: float = 1.0):
        self.betas = process_betas(steps, zero_terminal_snr, shift)
        if zero_terminal_snr:
            self.betas = rescale_to_zero_terminal_snr(self.betas)
        bar = (1 - self.betas).cumprod(0)
        self.signal = bar.sqrt().to(device)
        self.noise = (1 - bar).sqrt().to(device)

    def __len__(self) -> int:
        return len(self.betas)

    def add(self, clean: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """z_t for images [N, C, H, W] and integer steps [N]."""
        return self._at(self.signal, t) * clean + self._at(self.noise, t) * noise

    def target(self, clean: torch.Tensor, noise: torch.Tensor, t: torch.Tensor, prediction: str) -> torch.Tensor:
        """What the network is to predict: ``v``, ``epsilon`` or ``sample``."""
        if prediction == "v":
            return self._at(self.signal, t) * noise - self._at(self.noise, t) * clean
        return noise if prediction == "epsilon" else clean

    def clean(self, noisy: torch.Tensor, predicted: torch.Tensor, t: torch.Tensor, prediction: str) -> torch.Tensor:
        """The clean image that a prediction at z_t stands for."""
        if prediction == "v":
            return self._at(self.signal, t) * noisy - self._at(self.noise, t) * predicted
        if prediction == "epsilon":
            return (noisy - self._at(self.noise, t) * predicted) / self._at(self.signal, t).clamp_min(1e-3)
        return predicted

    def step(self, noisy: torch.Tensor, clean: torch.Tensor, t: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        """z_to from z_t and the estimate of its clean image, to < t (DDIM with eta 0, Song et al. 2021, eq. 12)."""
        noise = (noisy - self._at(self.signal, t) * clean) / self._at(self.noise, t)
        return self.add(clean, noise, to)

    @staticmethod
    def _at(levels: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return levels[t][:, None, None, None]
