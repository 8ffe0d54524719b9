"""Settings of kind ``maisi``, and which sizes of its networks go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pivm.errors import ConfigError
from pivm.generators.kinds import GeneratorSettings
from pivm.learning.settings import OPTIMIZER_HELP, Optimizer
from pivm.settings import setting

#: how a generator came about that was not trained here
RELEASED = "released weights, trained on scans that may include test patients"
FROM_SCRATCH = "trained from scratch on this split"


@dataclass(frozen=True)
class SlabSettings:
    """What the networks see at once."""

    depth: int = setting("slices; shorter stacks are padded, longer ones cut into slabs", 16, minimum=1)
    overlap: int = setting("slices that neighbouring slabs share", 8, minimum=0)
    hu_range: tuple[int, int] = setting(
        "HU outside are clipped: MAISI's own preprocessing", (-1000, 1000), minimum=-2048, maximum=4096
    )


@dataclass(frozen=True)
class AutoencoderSettings:
    """The first training."""

    latent_channels: int = setting("of a latent voxel", 4, minimum=1)
    channels: tuple[int, ...] = setting(
        "per level; every level but the last halves all three axes; the release has three levels",
        (16, 32),
        minimum=1,
        min_items=2,
    )
    blocks: int = setting("residual blocks per level", 1, minimum=1)
    norm_groups: int = setting("of the group norms", 8, minimum=1)
    kl_weight: float = setting("of the divergence from N(0, 1)", 1.0e-7, minimum=0, maximum=1)
    patch: int = setting("pixels per side of the pieces of slabs that it learns from", 32, minimum=1)
    steps: int = setting("optimiser steps", 500, minimum=1)
    batch: int = setting("slabs per step", 2, minimum=1)
    optimizer: Optimizer = setting(OPTIMIZER_HELP, "muon")
    learning_rate: float = setting("initial rate of the optimiser", 3.0e-3, above=0, maximum=1)
    ema_decay: float = setting("of the moving average of the weights", 0.98, minimum=0, below=1)


@dataclass(frozen=True)
class LatentDiffusionSettings:
    """The second training."""

    channels: tuple[int, ...] = setting("per level", (16, 48, 96), minimum=1, min_items=2)
    blocks: int = setting("residual blocks per level", 1, minimum=1)
    attention: tuple[bool, ...] = setting("self-attention per level", (False, False, True), min_items=2)
    head_channels: int = setting("of an attention head", 32, minimum=1)
    norm_groups: int = setting("of the group norms", 16, minimum=1)
    steps: int = setting("optimiser steps", 500, minimum=1)
    batch: int = setting("slabs per step", 2, minimum=1)
    optimizer: Optimizer = setting(OPTIMIZER_HELP, "muon")
    learning_rate: float = setting("initial rate of the optimiser", 5.0e-3, above=0, maximum=1)
    ema_decay: float = setting("of the moving average of the weights", 0.98, minimum=0, below=1)


@dataclass(frozen=True)
class ControlNetSettings:
    """The third training; sizes are those of the diffusion network, which it steers."""

    label_channels: tuple[int, ...] = setting(
        "of the label map, from full size down to the size of the latent", (8, 16), minimum=1, min_items=2
    )
    steps: int = setting("optimiser steps", 1000, minimum=1)
    batch: int = setting("slabs per step", 2, minimum=1)
    optimizer: Optimizer = setting(OPTIMIZER_HELP, "muon")
    learning_rate: float = setting("initial rate of the optimiser", 8.0e-3, above=0, maximum=1)
    ema_decay: float = setting("of the moving average of the weights", 0.98, minimum=0, below=1)


@dataclass(frozen=True)
class MaisiSamplerSettings:
    """How the trained networks sample; a change makes new slices and trains nothing."""

    steps: int = setting("network evaluations per slab", 10, minimum=1, maximum=1000)
    batch: int = setting("volumes, and slabs, at once", 4, minimum=1)


@dataclass(frozen=True, kw_only=True)
class MaisiSettings(GeneratorSettings):
    """Resolved settings of one generator of this kind."""

    weights: str | None = setting(
        "null: trained here, on the same split; or a folder with the released checkpoints", None, pattern=r"\S"
    )
    labels: Literal[34, 13] | None = setting("of the run's labels those that it knows; null: all", None)
    slab: SlabSettings = SlabSettings()
    autoencoder: AutoencoderSettings = AutoencoderSettings()
    diffusion: LatentDiffusionSettings = LatentDiffusionSettings()
    controlnet: ControlNetSettings = ControlNetSettings()
    sampler: MaisiSamplerSettings = MaisiSamplerSettings()

    @property
    def compression(self) -> int:
        """Factor by which the autoencoder shrinks every axis."""
        return 2 ** (len(self.autoencoder.channels) - 1)


def describe(settings: MaisiSettings) -> str:
    """Where the weights come from."""
    return RELEASED if settings.weights else FROM_SCRATCH


def check(settings: MaisiSettings, image_size: int) -> None:
    """Sizes that do not go together.

    Args:
        settings: of one generator.
        image_size: pixels per side of a slice.

    Raises:
        ConfigError: the first size that does not go with the others.
    """
    slab, autoencoder, diffusion = settings.slab, settings.autoencoder, settings.diffusion
    compression = settings.compression
    multiple = compression * 2 ** (len(diffusion.channels) - 1)
    if image_size % multiple:
        raise ConfigError(
            "image.size", f"found {image_size}, expected a multiple of {multiple} for the levels of maisi"
        )
    if slab.depth % multiple:
        raise ConfigError("maisi.slab.depth", f"found {slab.depth}, expected a multiple of {multiple}")
    if autoencoder.patch % compression:
        raise ConfigError("maisi.autoencoder.patch", f"found {autoencoder.patch}, expected a multiple of {compression}")
    if slab.overlap % compression or slab.overlap >= slab.depth:
        raise ConfigError(
            "maisi.slab.overlap",
            f"found {slab.overlap}, expected a multiple of {compression} below the depth of {slab.depth}",
        )
    if slab.hu_range[0] >= slab.hu_range[1]:
        raise ConfigError("maisi.slab.hu_range", f"found {list(slab.hu_range)}, expected [low, high]")
    for name, section in (("autoencoder", autoencoder), ("diffusion", diffusion)):
        if any(width % section.norm_groups for width in section.channels):
            raise ConfigError(
                f"maisi.{name}.channels",
                f"found {list(section.channels)}, expected multiples of norm_groups, {section.norm_groups}",
            )
    _check_levels(settings)


def _check_levels(settings: MaisiSettings) -> None:
    """Lists with a value per level have as many values as there are levels."""
    diffusion, widths = settings.diffusion, settings.controlnet.label_channels
    if len(diffusion.attention) != len(diffusion.channels):
        raise ConfigError(
            "maisi.diffusion.attention",
            f"found {len(diffusion.attention)} levels, diffusion.channels has {len(diffusion.channels)}",
        )
    wide = [width for width, attends in zip(diffusion.channels, diffusion.attention, strict=True) if attends]
    wide.append(diffusion.channels[-1])  # the block in the middle always attends
    if any(width % diffusion.head_channels for width in wide):
        raise ConfigError(
            "maisi.diffusion.head_channels", f"found {diffusion.head_channels}, expected a divisor of {wide}"
        )
    levels = len(settings.autoencoder.channels)
    if len(widths) != levels:
        raise ConfigError(
            "maisi.controlnet.label_channels",
            f"found {len(widths)} widths, expected {levels}, as many as maisi.autoencoder.channels",
        )
