"""The denoising loss of single slices, which tells whom a network has learnt from (target `privacy`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pivm.generators.organ_moments import OrganMoments
from pivm.seeds import step_generator

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
    noise = torch.randn(clean.shape[1:], generator=step_generator(seed, "membership")).to(generator.device)
    noise = noise.expand_as(clean)
    predicted = generator.predict(generator.noise.add(clean, noise, t), t, ids, None, None, means)
    wanted = generator.noise.target(clean, noise, t, prediction)
    return (predicted - wanted).pow(2).mean((1, 2, 3)).cpu().numpy()
