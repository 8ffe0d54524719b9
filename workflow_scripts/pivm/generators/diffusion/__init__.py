"""Diffusion in image space: PIVM on the variation, CDDPM on absolute HU (paper, section 2)."""

from pivm.generators.diffusion import settings
from pivm.generators.kinds import Kind

KIND = Kind(
    "diffusion",
    settings.DiffusionSettings,
    "pivm.generators.diffusion.generator:DiffusionGenerator",
    trainer="pivm.generators.diffusion.learner:DiffusionLearner",
    check=settings.check,
    misfit=settings.misfit,
    describe=settings.describe,
    added=("prior", "prior.channels", "prior.steps", "prior.weight_decay", "sampler.prior_draw"),
    was={"noise.organ_share": 0.0},
)
