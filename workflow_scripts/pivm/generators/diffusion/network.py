"""The denoiser: a U-Net behind a space-to-depth stem, conditioned on label map, prior and previous slice.

The stem folds 2 x 2 pixels into channels, so that the U-Net runs at half the resolution or less; a thin path at full
resolution joins it at the end. Labels enter by a learnt embedding instead of one-hot channels.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from pivm.generators.diffusion.settings import NetworkSettings

#: channels that each optional condition adds to the stem (per pixel)
CONDITION_CHANNELS = {"prior": 1, "previous": 2}


def time_embedding(t: torch.Tensor, width: int) -> torch.Tensor:
    """Sinusoidal embedding [N, width] of integer steps [N]."""
    rates = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = t[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, 8), channels)


def zero(layer: nn.Module) -> None:
    """Let a layer start as zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; the step enters as scale and shift of the second norm."""

    def __init__(self, c_in: int, c_out: int, c_time: int):
        super().__init__()
        self.norm1, self.conv1 = _norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2, self.conv2 = _norm(c_out), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.film = nn.Linear(c_time, 2 * c_out)
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()
        zero(self.conv2)

    def forward(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """Features [N, c_in, h, w] and step embedding [N, c_time] to [N, c_out, h, w]."""
        h = self.conv1(functional.silu(self.norm1(x)))
        scale, shift = self.film(step)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return self.skip(x) + self.conv2(functional.silu(h))


class Attention(nn.Module):
    """Self-attention over all positions of a feature map."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = _norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.heads = channels // 64 if channels % 64 == 0 else 1
        zero(self.out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features [N, channels, h, w] to the same shape."""
        n, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(n, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(3, 4).unbind(1)
        y = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(y.transpose(2, 3).reshape(n, c, h, w))


class Denoiser(nn.Module):
    """epsilon_theta(v_t, t, s, I) of section 2.1, with the previous slice of section 2.2 as an option.

    Args:
        classes: ids of the label map.
        condition: subset of ``labels``, ``prior``, ``previous``.
        settings: size of the network.
    """

    def __init__(self, classes: int, condition: tuple[str, ...], settings: NetworkSettings):
        super().__init__()
        self.condition, self.settings = condition, settings
        widths, c_time = settings.channels, 4 * settings.channels[0]
        self.embed = nn.Embedding(classes, settings.label_channels)
        per_pixel = 1 + settings.label_channels + sum(CONDITION_CHANNELS.get(c, 0) for c in condition)
        self.stem = nn.Conv2d(4 * per_pixel, widths[0], 3, padding=1)
        self.time = nn.Sequential(nn.Linear(widths[0], c_time), nn.SiLU(), nn.Linear(c_time, c_time), nn.SiLU())
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        skips, current = [], widths[0]
        for level, width in enumerate(widths):
            for _ in range(settings.blocks):
                self.down.append(ResidualBlock(current, width, c_time))
                current = width
                skips.append(current)
            if level < len(widths) - 1:
                self.shrink.append(nn.Conv2d(current, current, 3, stride=2, padding=1))
        self.middle1 = ResidualBlock(current, current, c_time)
        self.attention = Attention(current) if settings.attention else nn.Identity()
        self.middle2 = ResidualBlock(current, current, c_time)
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(settings.blocks):
                self.up.append(ResidualBlock(current + skips.pop(), width, c_time))
                current = width
            if level > 0:
                self.grow.append(nn.Conv2d(current, current, 3, padding=1))
        # a thin path at full resolution: folding alone learns single pixels, and so noise and edges, slowly
        fine = settings.detail_channels
        self.fine = nn.Conv2d(per_pixel, fine, 3, padding=1)
        self.rise = nn.Conv2d(current, 4 * fine, 1)
        self.merge = ResidualBlock(2 * fine, fine, c_time)
        # the head also sees the noisy pixels themselves, which it must subtract at low noise, by a step's own gain
        self.head_norm, self.head_gain = _norm(fine), nn.Linear(c_time, 1)
        self.head = nn.Conv2d(fine + 1, 1, 3, padding=1)
        for layer in (self.head, self.head_gain):
            zero(layer)

    def forward(self, noisy, t, label_map, prior=None, previous=None, known=None) -> torch.Tensor:
        """Predict the target of the noise process.

        Args:
            noisy: float [N, 1, H, W].
            t: int [N].
            label_map: int [N, H, W].
            prior: float [N, 1, H, W], normalised prior map.
            previous: float [N, 2, H, W], as :func:`pivm.generators.diffusion.previous.previous_channels`.
            known: float [N, 1, 1, 1], 0 hides labels and prior map of a slice (classifier-free dropout), ``None``
                shows all.

        Returns:
            float [N, 1, H, W].
        """
        embedded = self.embed(label_map).permute(0, 3, 1, 2)
        if known is not None:
            embedded, prior = embedded * known, None if prior is None else prior * known
        parts = [noisy, embedded]
        parts += [c for c, name in ((prior, "prior"), (previous, "previous")) if name in self.condition]
        pixels = torch.cat(parts, dim=1).contiguous(memory_format=torch.channels_last)
        x = functional.pixel_unshuffle(pixels, 2).contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        step = self.time(time_embedding(t, self.settings.channels[0]).to(x.dtype))
        per_level, skips = self.settings.blocks, []
        for i, block in enumerate(self.down):
            x = block(x, step)
            skips.append(x)
            level, last = divmod(i + 1, per_level)
            if not last and level <= len(self.shrink):
                x = self.shrink[level - 1](x)
        x = self.middle2(self.attention(self.middle1(x, step)), step)
        for i, block in enumerate(self.up):
            x = block(torch.cat([x, skips.pop()], dim=1), step)
            level, last = divmod(i + 1, per_level)
            if not last and level <= len(self.grow):
                x = self.grow[level - 1](functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        risen = functional.pixel_shuffle(self.rise(x), 2)
        fine = self.merge(torch.cat([self.fine(pixels), risen], dim=1), step)
        direct = noisy * (1 + self.head_gain(step)[:, :, None, None])
        return self.head(torch.cat([functional.silu(self.head_norm(fine)), direct], dim=1))
