"""The slice below as a condition, in training and in sampling (paper, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from pivm.generators.diffusion.noise import NoiseProcess
from pivm.generators.diffusion.settings import ConditionSettings
from pivm.learning.feed import Draws


class SlicesBelow(NamedTuple):
    """The slices right below those that are generated.

    Attributes:
        hu: int16 [N, H, W].
        label_map: uint8 [N, H, W].
        present: bool [N], whether there is one.
    """

    hu: np.ndarray
    label_map: np.ndarray
    present: np.ndarray


def previous_channels(signal: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """The two channels that the network sees of the slice below.

    Args:
        signal: the slice in the network's units, float [N, 1, H, W].
        present: bool [N], whether it is shown.

    Returns:
        float [N, 2, H, W]: the slice, and a flag that is 1 where it is shown; zeros where it is not.
    """
    flag = present.float()[:, None, None, None].expand_as(signal)
    return torch.cat([signal * flag, flag], dim=1)


def training_previous(
    signal: torch.Tensor,
    present: torch.Tensor,
    draws: Draws,
    shown: ConditionSettings,
    noise: NoiseProcess,
    fresh: Callable[[], torch.Tensor],
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    prediction: str,
) -> torch.Tensor:
    """The slice below as a training step shows it: left out, model-made, or noisy, as it will be in sampling.

    Args:
        signal: the real slice below in the network's units, float [N, 1, H, W].
        present: bool [N], whether there is one.
        draws: random numbers of the step.
        shown: how often it is left out or model-made, and its noise.
        noise: the noise process.
        fresh: draws its noise for the slice below, float [N, 1, H, W].
        predict: (z_t, t) -> the network's prediction for the slice below, float [N, 1, H, W].
        prediction: what the network predicts.

    Returns:
        float [N, 2, H, W], as :func:`previous_channels`.
    """
    keep = draws.uniform() >= shown.drop_previous
    if draws.coin() < shown.model_previous:
        t = draws.integers(len(noise))
        noisy = noise.add(signal, fresh(), t)
        with torch.no_grad():
            predicted = predict(noisy, t).float()
        signal = noise.clean(noisy, predicted, t, prediction)
    if shown.noise_previous:
        signal = signal + shown.noise_previous * draws.uniform(1, 1, 1) * draws.normal(*signal.shape[1:])
    return previous_channels(signal, present & keep)
