"""Released MAISI checkpoints: read as tensors alone, checked key by key and shape by shape."""

from __future__ import annotations

from pathlib import Path

import torch

from pivm.errors import StateError
from pivm.generators.maisi.networks import MaisiNetworks
from pivm.learning.model_files import put_weights, read_contents

#: keys under which released checkpoints keep the weights; an autoencoder's file may be the weights themselves
INNER = {"autoencoder": "unet_state_dict", "diffusion": "unet_state_dict", "controlnet": "controlnet_state_dict"}
#: spacings (x, y, z) in mm that the release supports
SPACING_RANGE = ((0.5, 0.5, 0.5), (3.0, 3.0, 5.0))
_OTHER_SIZES_HINT = (
    "lay configs/maisi_released.yaml over your config for the sizes of the release, or give its own files"
)


def put_released(nets: MaisiNetworks, files: dict[str, Path], typical: torch.Tensor) -> None:
    """Fill the networks from released checkpoints.

    Args:
        files: network -> checkpoint; typical: spacing (x, y, z) in mm where a caller names none.

    Raises:
        StateError: a file holds more than tensors, is truncated, lacks the latent scale, or does not fit the network;
            the first mismatch is named.
    """
    for network, path in files.items():
        content = read_contents(path)
        if network == "diffusion":
            scale = content.get("scale_factor")
            if not isinstance(scale, torch.Tensor | float) or torch.as_tensor(scale).numel() != 1:
                raise StateError(f"{path}: no single 'scale_factor' of the latents beside the weights")
            nets.scale.fill_(float(scale))
        weights = content.get(INNER[network], content)
        weights = {k: v for k, v in weights.items() if k != "scale_factor"}
        put_weights(getattr(nets, network), weights, path, _OTHER_SIZES_HINT)
    low, high = (torch.tensor(limit) for limit in SPACING_RANGE)
    nets.spacing.copy_(torch.stack([typical.clamp(low, high), low, high]))
