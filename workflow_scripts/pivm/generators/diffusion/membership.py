"""The denoising loss of single slices, which tells whom a network has learnt from (target `privacy`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pivm.generators.diffusion.noise import organ_noise
from pivm.generators.organ_moments import OrganMoments
from pivm.learning.feed import Draws

if TYPE_CHECKING:
    from pivm.generators.diffusion.generator import DiffusionGenerator


@torch.no_grad()
def losses_of_slices(
    generator: DiffusionGenerator, hu: np.ndarray, label_map: np.ndarray, level: float, seed: int
) -> np.ndarray:
    """See :class:`pivm.generators.protocol.LossTeller`.

    With a prior per patient the organ means of each slice are subtracted, shrunk as those of a patient are.
    """
    generator.net.eval()
    ids, prediction = generator.to_device(label_map, np.int64), generator.settings.noise.prediction
    means = None
    if generator.patients is not None:
        alone, prior = np.arange(len(hu)), generator.prior
        own = OrganMoments.of(hu, label_map, alone, len(hu), prior).means(prior, generator.settings.prior.shrink_pixels)
        means = generator.to_device(np.stack([generator.patients.completed(row) for row in own]), np.float32)
    clean = generator.signal.encode(generator.to_device(hu, np.float32), ids, means)
    t = torch.full((len(hu),), max(1, round(level * len(generator.noise))) - 1, device=generator.device)
    # one noise for all slices: what they differ by is then not the luck of the draw
    draws = Draws(1, slice(None), torch.device("cpu"), seed, "membership")
    noise = draws.normal(*clean.shape[1:]).to(generator.device).expand_as(clean)
    if generator.shares is not None:
        common = draws.normal(generator.prior.classes).to(generator.device).expand(len(hu), -1)
        noise = organ_noise(noise, common, ids, generator.shares)
    predicted = generator.predict(generator.noise.add(clean, noise, t), t, ids, None, None, means)
    wanted = generator.noise.target(clean, noise, t, prediction)
    return (predicted - wanted).pow(2).mean((1, 2, 3)).cpu().numpy()
