"""The downstream U-Net (paper, section 3.4; Ronneberger et al. 2015) from segmentation-models-pytorch."""

from __future__ import annotations

import torch


def allow_torchvision_import() -> None:
    """Define the two operator schemas that torchvision expects where torch is a build without its C++ part.

    timm imports torchvision, whose Python part registers fake kernels for ``nms`` and ``qnms`` at import and fails
    where the compiled library does not match a CPU build of torch. Neither operator is used here.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        if not hasattr(torch.ops.torchvision, schema.split("(")[0]):
            library.define(schema)
    allow_torchvision_import.library = library  # a Library that is collected takes its schemas along


def make_unet(encoder: str, depth: int, decoder_channels: list[int], classes: int) -> torch.nn.Module:
    """A U-Net with one input channel and random weights.

    Args:
        encoder: encoder name of segmentation-models-pytorch; depth: halvings of the resolution;
        decoder_channels: one width per decoder level; classes: background included.
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
