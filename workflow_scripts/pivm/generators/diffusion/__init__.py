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
    earlier={
        "prior": {"means": "dataset", "shrink_pixels": 50.0, "components": 5},
        "prior.channels": [16, 24, 32],
        "prior.steps": 300,
        "prior.weight_decay": 0.1,
        "noise.organ_share": 0.0,
        "sampler.spacing": 1.0,
        "sampler.organ_spread": 1.0,
        "sampler.prior_draw": "drawn",
        "training.optimizer": "adamw",
    },
)
