"""MAISI as a generator: label maps to whole volumes, slices cut out of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from pivm.cohort.prior import Prior
from pivm.cohort.store import LabelStore
from pivm.generators.maisi.networks import TIME_STEPS, MaisiNetworks
from pivm.generators.maisi.settings import MaisiSettings
from pivm.generators.maisi.slabs import (
    bit_planes,
    blend,
    from_ras,
    group_sources,
    pad_depth,
    slab_of,
    stack_of,
    stack_spacing,
    to_hu,
    to_ras,
)
from pivm.generators.maisi.vocabulary import released_ids
from pivm.generators.protocol import GeneratedSlices, MemorySetting, Spacing
from pivm.learning.model_files import put_weights
from pivm.seeds import step_generator

#: latent voxels at which released weights use the times as they are (RFlowScheduler's default)
RELEASED_LATENT_VOXELS = 32**3


class MaisiGenerator:
    """Latent diffusion on slabs with a ControlNet on the label map.

    A volume has one latent. Where it is deeper than a slab, slabs overlap: at every step of the sampler their
    velocities are blended into one, and so are their decoded images. So slabs continue each other.

    Args:
        settings: resolved settings.
        prior: organ means of the training split.
        device: where the networks run.
        nets: trained networks, untrained ones unless given.
    """

    def __init__(self, settings: MaisiSettings, prior: Prior, device: torch.device, nets: MaisiNetworks | None = None):
        self.settings, self.prior, self.device = settings, prior, device
        self.slab = slab_of(settings)
        self.nets = (nets or MaisiNetworks(settings, flash=device.type == "cuda")).to(device)
        self.ids = released_ids(prior) if settings.weights else np.arange(256, dtype=np.uint8)

    @property
    def sees_below(self) -> bool:
        """Slabs are made as a whole, and told their spacing."""
        return False

    def generate(
        self, label_map: np.ndarray, seeds: Sequence[int], patient_seeds: Sequence[int] | None = None
    ) -> np.ndarray:
        """int16 HU [N, H, W]; every slice is a volume of its own, of that slice repeated."""
        return np.concatenate(list(self.generate_volumes([ids[None] for ids in label_map], seeds)))

    def generate_sources(
        self, store: LabelStore, sources: np.ndarray, seeds: Sequence[int], batch: int, patient_seeds: Sequence[int]
    ) -> Iterator[GeneratedSlices]:
        """Slices cut out of the volumes of their patients; a slice that comes again is cut from another volume.

        See :class:`pivm.generators.protocol.Generator`; the seed of a slice is that of its volume.
        """
        groups = group_sources(store, sources)
        stacks = [stack_of(store, sources[group[0]]) for group in groups]
        volume_seeds = [seeds[group[0]] for group in groups]
        volumes = self.generate_volumes(
            [self.prior.label_map(store.labels[stack], store.body[stack]) for stack in stacks],
            volume_seeds,
            [stack_spacing(store, stack[0]) for stack in stacks],
        )
        for group, stack, seed, hu in zip(groups, stacks, volume_seeds, volumes, strict=True):
            at = {row: z for z, row in enumerate(stack)}
            yield GeneratedSlices(group, hu[[at[row] for row in sources[group]]], [seed] * len(group))

    def memory_setting(self, key: str, value: int) -> MemorySetting:
        """Its own: volumes and slabs at once, and then the depth of a slab."""
        at_once = self.settings.sampler.batch
        if at_once > 1:
            return MemorySetting("maisi.sampler.batch", at_once)
        return MemorySetting("maisi.slab.depth", self.slab.depth)

    @torch.no_grad()
    def generate_volumes(
        self, label_maps: Sequence[np.ndarray], seeds: Sequence[int], spacings_mm: Sequence[Spacing] | None = None
    ) -> Iterator[np.ndarray]:
        """Whole volumes; see :class:`pivm.generators.protocol.Generator`.

        Spacings are kept to the range that the networks know; the typical one stands in where none is given.
        """
        self.nets.eval()
        typical, low, high = self.nets.spacing
        given = spacings_mm or [None] * len(label_maps)
        known = [typical if mm is None else torch.tensor(mm).to(typical) for mm in given]
        at_once = self.settings.sampler.batch
        for first in range(0, len(label_maps), at_once):
            batch = slice(first, first + at_once)
            spacing = torch.stack(known[batch]).clamp(low, high)
            yield from self._volumes(label_maps[batch], seeds[batch], spacing)

    def _volumes(
        self, label_maps: Sequence[np.ndarray], seeds: Sequence[int], spacing: torch.Tensor
    ) -> list[np.ndarray]:
        depths = [self.slab.padded(len(m)) for m in label_maps]
        maps = [to_ras(pad_depth(m, depth)) for m, depth in zip(label_maps, depths, strict=True)]
        cuts = [(v, start) for v, depth in enumerate(depths) for start in self.slab.starts(depth)]
        ids = np.stack([self.ids[maps[v][..., z : z + self.slab.depth]] for v, z in cuts])
        planes = bit_planes(torch.from_numpy(ids).to(self.device))
        spacing = spacing[[v for v, _ in cuts]]
        latents = self._sample(depths, cuts, planes, spacing, seeds)
        parts = self._in_batches(self.nets.autoencoder.decode, self._cut(latents, cuts) / self.nets.scale)
        volumes = []
        for v, depth in enumerate(depths):
            mine = [k for k, (owner, _) in enumerate(cuts) if owner == v]
            unit = blend(parts[mine], [cuts[k][1] for k in mine], depth)[0]
            hu = to_hu(unit, self.settings.slab.hu_range).cpu().numpy()
            if self.prior.kind == "body":
                hu[maps[v] == 0] = self.settings.slab.hu_range[0]  # as released: nothing outside the body
            volumes.append(from_ras(hu)[: len(label_maps[v])])
        return volumes

    def _sample(self, depths, cuts, planes, spacing, seeds: Sequence[int]) -> list[torch.Tensor]:
        """Latents [C, x, y, z] of volumes, all slabs of all volumes side by side."""
        from monai.networks.schedulers.rectified_flow import RFlowScheduler

        side, compression = planes.shape[2] // self.slab.compression, self.slab.compression
        channels = self.settings.autoencoder.latent_channels
        latents = [
            torch.randn((channels, side, side, depth // compression), generator=step_generator(seed, "start"))
            for depth, seed in zip(depths, seeds, strict=True)
        ]
        latents = [latent.to(self.device) for latent in latents]
        voxels = side * side * self.slab.depth // compression
        scheduler = RFlowScheduler(
            TIME_STEPS,
            use_discrete_timesteps=False,
            use_timestep_transform=True,
            base_img_size_numel=RELEASED_LATENT_VOXELS if self.settings.weights else voxels,
        )
        scheduler.set_timesteps(self.settings.sampler.steps, input_img_size_numel=voxels)
        times = [*scheduler.timesteps.float().tolist(), 0.0]
        for t, following in pairwise(times):
            noisy = self._cut(latents, cuts)
            velocity = self._in_batches(
                self.nets.velocity, noisy, torch.full((len(noisy),), t, device=self.device), planes, spacing
            )
            for v, depth in enumerate(depths):
                mine = [k for k, (owner, _) in enumerate(cuts) if owner == v]
                starts = [cuts[k][1] // compression for k in mine]
                blended = blend(velocity[mine], starts, depth // compression)
                # Euler as in RFlowScheduler.step, which rounds the next step and so integrates past the end
                latents[v] = latents[v] + blended * (t - following) / TIME_STEPS
        return latents

    def _cut(self, latents: list[torch.Tensor], cuts: list[tuple[int, int]]) -> torch.Tensor:
        compression = self.slab.compression
        depth = self.slab.depth // compression
        return torch.stack([latents[v][..., z // compression : z // compression + depth] for v, z in cuts])

    def _in_batches(self, call, *tensors: torch.Tensor) -> torch.Tensor:
        parts = zip(*(tensor.split(self.settings.sampler.batch) for tensor in tensors), strict=True)
        return torch.cat([call(*part) for part in parts])

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights of all three networks."""
        return self.nets.state_dict()

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Raises StateError where weights and settings do not fit each other."""
        put_weights(self.nets, weights, folder)
