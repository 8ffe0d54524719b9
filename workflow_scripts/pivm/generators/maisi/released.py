"""Released MAISI checkpoints: read as tensors alone, checked key by key and shape by shape."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from pivm.errors import StateError
from pivm.generators.maisi.networks import MaisiNetworks
from pivm.model_files import put_weights

#: keys under which released checkpoints keep the weights; an autoencoder's file may be the weights themselves
INNER = {"autoencoder": "unet_state_dict", "diffusion": "unet_state_dict", "controlnet": "controlnet_state_dict"}
#: spacings (x, y, z) in mm that the release supports
SPACING_RANGE = ((0.5, 0.5, 0.5), (3.0, 3.0, 5.0))


def put_released(nets: MaisiNetworks, files: dict[str, Path], typical: torch.Tensor) -> None:
    """Fill the networks from released checkpoints.

    Args:
        files: network -> checkpoint; typical: spacing (x, y, z) in mm where a caller names none.

    Raises:
        StateError: a file holds more than tensors, is truncated, lacks the latent scale, or does not fit the network;
            the first mismatch is named.
    """
    for network, path in files.items():
        content = read_checkpoint(path)
        if network == "diffusion":
            scale = content.get("scale_factor")
            if not isinstance(scale, torch.Tensor | float) or torch.as_tensor(scale).numel() != 1:
                raise StateError(f"{path}: no single 'scale_factor' of the latents beside the weights")
            nets.scale.fill_(float(scale))
        weights = content.get(INNER[network], content)
        weights = {k: v for k, v in weights.items() if k != "scale_factor"}
        put_weights(getattr(nets, network), weights, path)
    low, high = (torch.tensor(limit) for limit in SPACING_RANGE)
    nets.spacing.copy_(torch.stack([typical.clamp(low, high), low, high]))


def read_checkpoint(path: Path) -> dict:
    """The content of a ``.pt`` or ``.safetensors`` file; code in a pickle is never run.

    Raises:
        StateError: not a file of tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise StateError(
            f"{path}: not read ({reason[0]}): it is truncated, or holds more than tensors, which may run code and is "
            "refused; fetch it again, or convert it to safetensors where you trust it"
        ) from None
    if not isinstance(content, dict):
        raise StateError(f"{path}: holds a {type(content).__name__}, expected a dictionary of weights")
    return content
