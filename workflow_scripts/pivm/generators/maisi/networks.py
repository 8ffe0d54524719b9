"""MAISI's three networks from MONAI's classes, of the released structure and the widths of the config."""

from __future__ import annotations

import torch
from torch import nn

from pivm.generators.maisi.slabs import BITS

#: modality classes of the released networks, and the one of CT
MODALITIES, CT = 128, 1
TIME_STEPS = 1000


class MaisiNetworks(nn.Module):
    """Autoencoder, diffusion network and ControlNet.

    Structure as released (``config_network_rflow.json``): three convolutional levels without attention in the
    autoencoder; residual up- and downsampling, modality class and spacing in the diffusion network.

    Args:
        settings: config sections ``autoencoder``, ``diffusion`` and ``controlnet``; early stages do without the later.

    Attributes:
        scale: factor that brings latents to unit variance; spacing: mm [3, 3], typical, smallest and largest spacing
            (x, y, z) of the volumes that the networks know.
    """

    def __init__(self, settings: dict, flash: bool):
        super().__init__()
        self.autoencoder = make_autoencoder(settings["autoencoder"])
        if "diffusion" in settings:
            self.diffusion = make_diffusion(settings, flash)
        if "controlnet" in settings:
            self.controlnet = make_controlnet(settings, flash)
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("spacing", torch.ones(3, 3))

    def velocity(
        self, latent: torch.Tensor, t: torch.Tensor, planes: torch.Tensor | None, spacing: torch.Tensor
    ) -> torch.Tensor:
        """Velocity ``clean - noise`` of noisy latents.

        Args:
            latent: [N, C, x, y, z]; t: [N] in [0, 1000], 1000 = pure noise; spacing: mm [N, 3];
            planes: bit-planes [N, 8, X, Y, Z] for the ControlNet, or ``None`` for the diffusion network alone.
        """
        modality = torch.full((len(latent),), CT, dtype=torch.long, device=latent.device)
        down = middle = None
        if planes is not None:
            down, middle = self.controlnet(latent, t, planes, class_labels=modality)
        return self.diffusion(
            latent,
            t,
            class_labels=modality,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            spacing_tensor=spacing * 100,
        )


def make_autoencoder(options: dict) -> nn.Module:
    """MONAI's autoencoder with the widths of config section ``maisi.autoencoder``."""
    from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi

    levels = len(options["channels"])
    return AutoencoderKlMaisi(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        latent_channels=options["latent_channels"],
        num_channels=tuple(options["channels"]),
        num_res_blocks=(options["blocks"],) * levels,
        attention_levels=(False,) * levels,
        norm_num_groups=options["norm_groups"],
        num_splits=1,
        norm_float16=False,
        save_mem=False,
    )


def make_diffusion(settings: dict, flash: bool) -> nn.Module:
    """MONAI's diffusion network on the latents of the autoencoder."""
    from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi

    latent = settings["autoencoder"]["latent_channels"]
    return DiffusionModelUNetMaisi(
        in_channels=latent, out_channels=latent, include_spacing_input=True, **_shared(settings["diffusion"], flash)
    )


def make_controlnet(settings: dict, flash: bool) -> nn.Module:
    """The ControlNet that steers it by the bit-planes of the label map."""
    from monai.apps.generation.maisi.networks.controlnet_maisi import ControlNetMaisi

    return ControlNetMaisi(
        in_channels=settings["autoencoder"]["latent_channels"],
        conditioning_embedding_in_channels=BITS,
        conditioning_embedding_num_channels=tuple(settings["controlnet"]["label_channels"]),
        use_checkpointing=False,
        **_shared(settings["diffusion"], flash),
    )


def _shared(options: dict, flash: bool) -> dict:
    """Arguments that the diffusion network and its ControlNet share."""
    return {
        "spatial_dims": 3,
        "num_channels": tuple(options["channels"]),
        "num_res_blocks": options["blocks"],
        "attention_levels": tuple(options["attention"]),
        "num_head_channels": (options["head_channels"],) * len(options["channels"]),
        "norm_num_groups": options["norm_groups"],
        "num_class_embeds": MODALITIES,
        "resblock_updown": True,
        "include_fc": True,
        "use_flash_attention": flash,
    }
