"""Which sizes of MAISI's networks go together; free of torch, so that the workflow checks them when it starts."""

from __future__ import annotations

from pivm.errors import ConfigError


def compression_of(settings: dict) -> int:
    """Factor by which the autoencoder shrinks every axis."""
    return 2 ** (len(settings["autoencoder"]["channels"]) - 1)


def require_sizes(settings: dict, image_size: int) -> None:
    """Raises ConfigError for the first size that does not go with the others."""
    slab, diffusion = settings["slab"], settings["diffusion"]
    compression = compression_of(settings)
    multiple = compression * 2 ** (len(diffusion["channels"]) - 1)
    if image_size % multiple:
        raise ConfigError(
            "image.size", f"found {image_size}, expected a multiple of {multiple} for the levels of maisi"
        )
    if slab["depth"] % multiple:
        raise ConfigError("maisi.slab.depth", f"found {slab['depth']}, expected a multiple of {multiple}")
    if settings["autoencoder"]["patch"] % compression:
        raise ConfigError(
            "maisi.autoencoder.patch",
            f"found {settings['autoencoder']['patch']}, expected a multiple of {compression}",
        )
    if slab["overlap"] % compression or slab["overlap"] >= slab["depth"]:
        raise ConfigError(
            "maisi.slab.overlap",
            f"found {slab['overlap']}, expected a multiple of {compression} below the depth of {slab['depth']}",
        )
    if slab["hu_range"][0] >= slab["hu_range"][1]:
        raise ConfigError("maisi.slab.hu_range", f"found {slab['hu_range']}, expected [low, high]")
    for name in ("autoencoder", "diffusion"):
        channels, groups = settings[name]["channels"], settings[name]["norm_groups"]
        if any(c % groups for c in channels):
            raise ConfigError(
                f"maisi.{name}.channels", f"found {channels}, expected multiples of norm_groups, {groups}"
            )
    if len(diffusion["attention"]) != len(diffusion["channels"]):
        raise ConfigError(
            "maisi.diffusion.attention",
            f"found {len(diffusion['attention'])} levels, diffusion.channels has {len(diffusion['channels'])}",
        )
    wide = [c for c, attended in zip(diffusion["channels"], diffusion["attention"], strict=True) if attended]
    wide.append(diffusion["channels"][-1])  # the block in the middle always attends
    if any(c % diffusion["head_channels"] for c in wide):
        raise ConfigError(
            "maisi.diffusion.head_channels", f"found {diffusion['head_channels']}, expected a divisor of {wide}"
        )
    if len(settings["controlnet"]["label_channels"]) != len(settings["autoencoder"]["channels"]):
        raise ConfigError(
            "maisi.controlnet.label_channels",
            f"found {len(settings['controlnet']['label_channels'])} widths, expected "
            f"{len(settings['autoencoder']['channels'])}, as many as maisi.autoencoder.channels",
        )
