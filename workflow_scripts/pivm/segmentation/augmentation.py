"""Random changes of training slices, two strengths; neither mirrors, which would swap left and right organs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from pivm.segmentation.settings import AugmentationSettings

if TYPE_CHECKING:
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

#: value of air in an input in [-1, 1]
AIR = -1.0


def augment_lightly(
    image: torch.Tensor, truth: torch.Tensor, options: AugmentationSettings, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random rotation, scaling and shift of each slice in float32.

    Args:
        image: [N, 1, H, W] in [-1, 1], -1 is air.
        truth: int [N, H, W].
        options: ``rotate`` in degrees, ``scale`` and ``shift`` as fractions.
        generator: of the step.

    Returns:
        Image and labels of the same shapes.
    """
    n = len(image)
    draw = 2 * torch.rand(n, 4, generator=generator) - 1
    angle = torch.deg2rad(draw[:, 0] * options.rotate)
    zoom = 1 + draw[:, 1] * options.scale
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    shift = draw[:, 2:] * 2 * options.shift
    theta = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], 1).reshape(n, 2, 3).to(image.device)
    with torch.autocast(image.device.type, enabled=False):  # half precision would move pixels
        grid = functional.affine_grid(theta, list(image.shape), align_corners=False)
        moved = functional.grid_sample(image - AIR, grid, align_corners=False) + AIR
        labels = functional.grid_sample(truth[:, None].float(), grid, mode="nearest", align_corners=False)
    return moved.contiguous(memory_format=torch.channels_last), labels[:, 0].long()


class StrongAugmentation:
    """The transforms of nnU-Net (Isensee et al., Nature Methods 2021) from its own library, with its 2D values.

    Rotation, scaling, Gaussian noise, blur, brightness, contrast, low resolution and gamma have the probabilities and
    ranges of ``nnUNetTrainer``. Elastic deformation, which that trainer leaves out, comes with the probability of the
    others in space. The result is clipped to the window, as the input of the test is.

    Args:
        size: pixels per side of a slice.
    """

    def __init__(self, size: int):
        from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

        self._transforms: ComposeTransforms = ComposeTransforms([in_space(size), *in_intensity()])

    def __call__(self, image: torch.Tensor, truth: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Change every slice.

        Args:
            image: float32 [N, 1, H, W] in [-1, 1] on the CPU, -1 is air.
            truth: uint8 [N, H, W] on the CPU.
            seed: of the step; nothing else decides what is drawn.

        Returns:
            Image and labels of the same shapes and types.
        """
        with seeded(seed):
            pairs = [
                self._transforms(image=one.clone(), segmentation=labels[None].to(torch.int16))
                for one, labels in zip(image, truth, strict=True)
            ]
        images = torch.stack([pair["image"] for pair in pairs]).clamp_(-1, 1)
        return images, torch.stack([pair["segmentation"][0] for pair in pairs]).to(torch.uint8)


def in_space(size: int):
    """Elastic deformation, rotation and scaling; air and background where the slice leaves the frame.

    Args:
        size: pixels per side of a slice.
    """
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    return SpatialTransform(
        (size, size),
        patch_center_dist_from_border=0,
        random_crop=False,
        p_elastic_deform=0.2,
        elastic_deform_scale=(0.1, 0.25),  # standard deviation of the smoothing, share of the side
        elastic_deform_magnitude=(0, 0.05 * size),  # largest displacement, pixels; too short to fold the slice
        p_rotation=0.2,
        rotation=(-np.pi, np.pi),
        p_scaling=0.2,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
        mode_seg="bilinear",
        border_mode_seg="zeros",
        padding_mode_image="constant",
        padding_value_image=AIR,
    )


def in_intensity() -> list:
    """Noise, blur, brightness, contrast, low resolution and gamma, each with its probability."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    # `benchmark` would choose between two algorithms by the clock, so that a second run differs
    blur = GaussianBlurTransform((0.5, 1.0), False, False, p_per_channel=0.5, benchmark=False)
    quarter, gamma = BGContrast((0.75, 1.25)), BGContrast((0.7, 1.5))
    return [
        RandomTransform(GaussianNoiseTransform((0, 0.1), 1, synchronize_channels=True), 0.1),
        RandomTransform(blur, 0.2),
        RandomTransform(MultiplicativeBrightnessTransform(quarter, False), 0.15),
        RandomTransform(ContrastTransform(quarter, preserve_range=True, synchronize_channels=False), 0.15),
        RandomTransform(SimulateLowResolutionTransform((0.5, 1), False, True, None, p_per_channel=0.5), 0.25),
        RandomTransform(GammaTransform(gamma, 1, False, 1, 1), 0.1),
        RandomTransform(GammaTransform(gamma, 0, False, 1, 1), 0.3),
    ]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global generators of numpy and torch (CPU) at a seed, afterwards as they were: the library draws from both."""
    before = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would touch the GPU's generators too
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002
