"""Names of encoders, known without importing the packages that hold them: that takes seconds at every start."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

from pivm.errors import ConfigError, first_line, nearest


def _series(first: str, variants: str) -> tuple[str, ...]:
    return tuple(first + variant for variant in variants.split())


#: of segmentation-models-pytorch; a test holds them against the installed version
ENCODERS = (
    *_series("resnet", "18 34 50 101 152"),
    *_series("resnext", "50_32x4d 101_32x4d 101_32x8d 101_32x16d 101_32x32d 101_32x48d"),
    *_series("dpn", "68 68b 92 98 107 131"),
    *_series("vgg", "11 11_bn 13 13_bn 16 16_bn 19 19_bn"),
    *_series("se", "net154 _resnet50 _resnet101 _resnet152 _resnext50_32x4d _resnext101_32x4d"),
    *_series("densenet", "121 161 169 201"),
    *_series("inception", "resnetv2 v4"),
    *_series("efficientnet-b", "0 1 2 3 4 5 6 7"),
    *_series("mobile", "net_v2 one_s0 one_s1 one_s2 one_s3 one_s4"),
    "xception",
    *_series("timm-efficientnet-", "b0 b1 b2 b3 b4 b5 b6 b7 b8 l2"),
    *_series("timm-tf_efficientnet_lite", "0 1 2 3 4"),
    *_series("timm-sk", "resnet18 resnet34 resnext50_32x4d"),
    *_series("mit_b", "0 1 2 3 4 5"),
)
#: halvings of the resolution that a U-Net may have
DEPTHS = (3, 4, 5)
#: before the name of a network of timm
TIMM = "tu-"


@functools.cache
def timm_networks() -> frozenset[str]:
    """Names that timm registers, from the text of its modules; empty where it is not installed."""
    found = importlib.util.find_spec("timm")
    if found is None or not found.submodule_search_locations:
        return frozenset()
    modules = Path(found.submodule_search_locations[0], "models").rglob("*.py")
    registered = re.compile(r"^@register_model\s+def (\w+)", re.MULTILINE)
    return frozenset(name for path in modules for name in registered.findall(path.read_text(encoding="utf-8")))


@functools.cache
def network_fault(name: str, depth: int, decoder_channels: tuple[int, ...], image_size: int) -> str:
    """Why a U-Net on a network of timm cannot be made; empty where it can.

    It is built and run without memory for weights or values. The packages that hold it are imported for such a network
    alone; where they are missing, or cannot do without values, the job finds out.

    Args:
        name: with ``tu-`` in front.
        depth: halvings of the resolution.
        decoder_channels: one width per decoder level.
        image_size: pixels per side of a slice.
    """
    if any(importlib.util.find_spec(package) is None for package in ("torch", "timm", "segmentation_models_pytorch")):
        return ""
    import torch

    from pivm.segmentation.network import make_unet

    try:
        with torch.device("meta"), torch.no_grad():
            make_unet(name, depth, decoder_channels, 2).eval()(torch.empty(1, 1, image_size, image_size))
    except Exception as error:
        return "" if re.search(r"\bmeta\b", str(error)) else f"{type(error).__name__}: {first_line(error)}"
    return ""


def check_network(name: str, depth: int, decoder_channels: tuple[int, ...], image_size: int) -> None:
    """Raises ConfigError where a network of timm makes no U-Net of this depth on slices of this size."""
    if not name.startswith(TIMM) or not (fault := network_fault(name, depth, decoder_channels, image_size)):
        return
    widths = (*decoder_channels, 16, 16)
    others = [d for d in DEPTHS if image_size % 2**d == 0 and not network_fault(name, d, widths[:d], image_size)]
    advice = f"set segmentation.depth to {' or '.join(map(str, others))}, with as many widths in decoder_channels"
    raise ConfigError(
        "segmentation.encoder",
        f"{name!r} makes no U-Net of segmentation.depth {depth} on slices of {image_size} pixels ({fault}); "
        f"{advice if others else 'choose another encoder'}",
    )


def check_encoder(name: str) -> None:
    """Raises ConfigError where no encoder has this name; ``tu-<network of timm>`` counts where timm is installed."""
    networks = timm_networks()
    if name.startswith(TIMM) and (not networks or name.removeprefix(TIMM).partition(".")[0] in networks):
        return
    if name not in ENCODERS:
        known = [*ENCODERS, *sorted(TIMM + network for network in networks)]
        expected = f"expected one of {', '.join(ENCODERS)}, or {TIMM}<network of timm>"
        raise ConfigError("segmentation.encoder", f"unknown {name!r}{nearest(name, known)}, {expected}")
