"""Start noise of neighbouring slices: alike where its pattern is coarse, new where it is fine."""

from __future__ import annotations

import torch


def coupled_noise(
    below: torch.Tensor, fresh: torch.Tensor, pixel_mm: tuple[float, float], step_mm: float, reach: float
) -> torch.Tensor:
    """The start noise of a slice, given that of the slice below.

    What the labels leave open (phase of the contrast agent, where gas lies in the bowel) is decided by the start noise.
    With new noise in every slice a volume decides it anew in every slice. Here each spatial frequency f is an
    autoregressive process along z with correlation exp(-step · f / reach): a pattern of wavelength w stays alike over
    ``reach`` · w, as anatomy does. Whatever the correlation, each slice alone has white noise, as in training.

    Args:
        below, fresh: white noise [..., H, W]; pixel_mm: (W, H) of a pixel; step_mm: distance of the slices.
        reach: above 0, in wavelengths.

    Returns:
        White noise of the same shape.
    """
    rows = torch.fft.fftfreq(below.shape[-2], pixel_mm[1])[:, None]
    columns = torch.fft.rfftfreq(below.shape[-1], pixel_mm[0])
    correlation = torch.exp(-step_mm / reach * (rows**2 + columns**2).sqrt())
    spectrum = correlation * torch.fft.rfft2(below) + (1 - correlation**2).sqrt() * torch.fft.rfft2(fresh)
    return torch.fft.irfft2(spectrum, s=below.shape[-2:])
