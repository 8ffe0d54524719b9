"""Diffusion in image space: PIVM on the variation, CDDPM on absolute HU (paper, section 2)."""

from pivm.generators.diffusion import settings
from pivm.generators.kinds import Kind

KIND = Kind(
    "diffusion",
    settings.DiffusionSettings,
    "pivm.generators.diffusion.generator:DiffusionGenerator",
    check=settings.check,
    misfit=settings.misfit,
    describe=settings.describe,
    added=("prior", "sampler.prior_draw"),
)
