"""The downstream U-Net (paper, section 3.4; Ronneberger et al. 2015) from segmentation-models-pytorch."""

from __future__ import annotations

import torch

from pivm.learning.torchvision_import import allow_torchvision_import


def make_unet(encoder: str, depth: int, decoder_channels: list[int], classes: int) -> torch.nn.Module:
    """A U-Net with one input channel and random weights.

    Args:
        encoder: encoder name of segmentation-models-pytorch.
        depth: halvings of the resolution.
        decoder_channels: one width per decoder level.
        classes: background included.
    """
    allow_torchvision_import()
    import segmentation_models_pytorch as smp

    net = smp.Unet(
        encoder,
        encoder_weights=None,
        encoder_depth=depth,
        decoder_channels=tuple(decoder_channels),
        in_channels=1,
        classes=classes,
    )
    return net.to(memory_format=torch.channels_last)
