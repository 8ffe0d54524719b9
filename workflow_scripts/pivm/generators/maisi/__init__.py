"""MAISI (Guo et al. 2024) on MONAI's own networks: latent diffusion on 3D slabs, labels through a ControlNet."""

from pivm.generators.kinds import Kind
from pivm.generators.maisi import settings

KIND = Kind(
    "maisi",
    settings.MaisiSettings,
    "pivm.generators.maisi.generator:MaisiGenerator",
    rules="maisi",
    stages=("autoencoder", "diffusion"),
    check=settings.check,
    describe=settings.describe,
    earlier={f"{stage}.optimizer": "adamw" for stage in ("autoencoder", "diffusion", "controlnet")},
)
