"""Config section ``segmentation``: the downstream U-Net, the same for every training set (paper, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pivm.errors import ConfigError
from pivm.learning.settings import OPTIMIZER_HELP, Optimizer
from pivm.segmentation.encoders import DEPTHS, check_encoder, check_network
from pivm.settings import setting


@dataclass(frozen=True)
class AugmentationSettings:
    """Random changes of a training slice; no flips, which would swap left and right organs."""

    kind: Literal["light", "strong"] = setting("light: rotate, scale, shift; strong: as nnU-Net does", "light")
    rotate: float = setting("degrees, of light", 8, minimum=0, maximum=180)
    scale: float = setting("share of the size, of light", 0.1, minimum=0, below=1)
    shift: float = setting("share of the side, of light", 0.05, minimum=0, below=1)


@dataclass(frozen=True)
class RareOrgansSettings:
    """Slices with small and rare organs are drawn more often (:func:`pivm.segmentation.drawing_slices.batches_of`)."""

    threshold: float = setting(
        "share of the labelled pixels below which an organ makes its slices frequent; 0: all slices alike",
        0.0,
        minimum=0,
        maximum=1,
    )
    of: Literal["both", "synthetic", "real"] = setting("slices that are drawn so", "both")


@dataclass(frozen=True)
class SegmenterSettings:
    """What the weights of a segmenter depend on."""

    encoder: str = setting("of segmentation-models-pytorch", "resnet18")
    depth: int = setting("halvings of the resolution", 4, minimum=min(DEPTHS), maximum=max(DEPTHS))
    decoder_channels: tuple[int, ...] = setting(
        "one width per decoder level", (128, 64, 32, 16), minimum=1, min_items=3, max_items=5
    )
    real_slices: int | Literal["all"] = setting("real training slices in `original` and `combined`", "all", minimum=1)
    steps: int = setting("optimiser steps", 800, minimum=1)
    batch: int = setting("slices per step", 4, minimum=2)
    optimizer: Optimizer = setting(OPTIMIZER_HELP, "muon")
    learning_rate: float = setting("initial rate of the optimiser", 6.0e-3, above=0, maximum=1)
    weight_decay: float = setting("of the optimiser", 1.0e-4, minimum=0, maximum=1)
    window: tuple[float, float] = setting("HU shown to the network", (-200, 300), minimum=-2048, maximum=4096)
    augmentation: AugmentationSettings = AugmentationSettings()
    ema_decay: float | None = setting(
        "of the moving average of the weights; null: the last weights", None, above=0, below=1
    )
    synthetic_share: float | None = setting(
        "of synthetic slices where a set holds both kinds; null: by their numbers", 0.5, minimum=0, maximum=1
    )
    synthetic_first: float = setting(
        "share of the steps on synthetic slices alone, before those on real ones alone", 0.0, minimum=0, below=1
    )
    rare_organs: RareOrgansSettings = RareOrgansSettings()


@dataclass(frozen=True)
class SegmentationSettings(SegmenterSettings):
    """The whole section."""

    test_batch: int = setting("test slices at once; the training has its own", 32, minimum=1)
    seeds: tuple[int, ...] = setting("one training each", (1, 2, 3), minimum=0, min_items=1, unique=True)
    control_seeds: tuple[int, ...] = setting(
        "the same for the generators of tables.controls", (1,), minimum=0, min_items=1, unique=True
    )


def check(settings: SegmentationSettings, image_size: int) -> None:
    """Settings that do not go together.

    Args:
        settings: config section ``segmentation``.
        image_size: pixels per side of a slice.

    Raises:
        ConfigError: the first that is wrong.
    """
    low, high = settings.window
    if low >= high:
        raise ConfigError("segmentation.window", f"found {[low, high]}, expected [low, high] in HU")
    check_encoder(settings.encoder)
    if len(settings.decoder_channels) != settings.depth:
        raise ConfigError(
            "segmentation.decoder_channels",
            f"found {list(settings.decoder_channels)}, expected {settings.depth} widths, as many as segmentation.depth",
        )
    if settings.synthetic_share is not None and settings.synthetic_first:
        raise ConfigError(
            "segmentation.synthetic_share",
            f"found {settings.synthetic_share} beside synthetic_first {settings.synthetic_first}, which never mixes "
            "the two kinds; set synthetic_share to null or synthetic_first to 0",
        )
    if image_size % 2**settings.depth:
        raise ConfigError(
            "image.size",
            f"found {image_size}, expected a multiple of {2**settings.depth} for segmentation.depth {settings.depth}",
        )
    check_network(settings.encoder, settings.depth, tuple(settings.decoder_channels), image_size)
