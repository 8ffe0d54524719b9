"""PIVM and CDDPM as generators: how a trained network makes slices and volumes (paper, section 2)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from pivm.generators.diffusion.along_z import batches, coupled_slices, start_noise
from pivm.generators.diffusion.learner import DiffusionLearner, MaybeTensor
from pivm.generators.diffusion.membership import losses_of_slices
from pivm.generators.diffusion.noise import organ_noise
from pivm.generators.diffusion.previous import SlicesBelow, previous_channels
from pivm.generators.diffusion.sampler import make_scheduler, sample
from pivm.generators.protocol import Spacing
from pivm.generators.slicewise import SliceWise
from pivm.seeds import step_generator


class DiffusionGenerator(DiffusionLearner, SliceWise):
    """A trained or untrained generator; see :class:`DiffusionLearner`."""

    def denoising_losses(self, hu: np.ndarray, label_map: np.ndarray, level: float, seed: int) -> np.ndarray:
        """The loss of single slices at one noise level; see :class:`pivm.generators.protocol.LossTeller`."""
        return losses_of_slices(self, hu, label_map, level, seed)

    def _guided(
        self, noisy: torch.Tensor, t: torch.Tensor, label_map: torch.Tensor, previous: MaybeTensor, means: MaybeTensor
    ) -> torch.Tensor:
        """Classifier-free guidance: away from the prediction without labels; one evaluation more where it is on."""
        predicted = self.predict(noisy, t, label_map, previous, None, means)
        guidance = self.settings.sampler.guidance
        if guidance == 1:
            return predicted
        hidden = torch.zeros(len(noisy), 1, 1, 1, device=self.device)
        blind = self.predict(noisy, t, label_map, previous, hidden, means)
        return blind + guidance * (predicted - blind)

    @functools.cached_property
    def _scheduler(self) -> Any:
        return make_scheduler(self.settings.sampler.name, self.settings.noise)

    def generate(
        self, label_map: np.ndarray, seeds: Sequence[int], patient_seeds: Sequence[int] | None = None
    ) -> np.ndarray:
        """Single slices; see :class:`pivm.generators.protocol.Generator`.

        With ``ddpm`` the noise of the steps is that of the first seed for all slices of a call.
        """
        patients = seeds if patient_seeds is None else patient_seeds
        start = self._start(start_noise(label_map, seeds), label_map, patients)
        return self._sample(label_map, start, step_generator(seeds[0], "steps"), None, self._means(patients))

    def _start(self, white: torch.Tensor, label_map: np.ndarray, patient_seeds: Sequence[int]) -> torch.Tensor:
        """The noise that sampling starts from, [N, 1, H, W]; what an organ has in common is that of the patient."""
        if self.shares is None:
            return white
        drawn = {seed: step_generator(seed, "organs") for seed in patient_seeds}
        common = {seed: torch.randn(self.prior.classes, generator=generator) for seed, generator in drawn.items()}
        ids = torch.from_numpy(label_map.astype(np.int64))
        shared = self.settings.sampler.organ_spread * torch.stack([common[seed] for seed in patient_seeds])
        return organ_noise(white, shared, ids, self.shares.cpu())

    def _means(self, patient_seeds: Sequence[int]) -> MaybeTensor:
        """Organ means of synthetic patients, float32 HU [N, K]; ``None`` for the data set's."""
        patients = self.patients
        if patients is None:
            return None
        drawn = self.settings.sampler.prior_draw == "drawn"
        means = [patients.draw(seed) if drawn else patients.mean for seed in patient_seeds]
        return self.to_device(np.stack(means), np.float32)

    @property
    def _shown_below(self) -> float:
        """The noise step below which the network is shown the slice below."""
        return self.settings.sampler.previous_from * len(self.noise) if self.sees_below else 0.0

    @torch.no_grad()
    def _sample(
        self,
        label_map: np.ndarray,
        start: torch.Tensor,
        generator: torch.Generator | list[torch.Generator],
        below: SlicesBelow | None,
        means: MaybeTensor,
    ) -> np.ndarray:
        """From noise to HU.

        Args:
            label_map: uint8 [N, H, W].
            start: noise [N, 1, H, W].
            generator: of the noise that ``ddpm`` adds, for all slices or one for each.
            below: the slices below.
            means: organ means of the patients, HU [N, K].
        """
        self.net.eval()
        ids, previous, shown_below = self.to_device(label_map, np.int64), None, self._shown_below
        if below is not None and self.sees_below:
            hu, maps = self.to_device(below.hu, np.float32), self.to_device(below.label_map, np.int64)
            present = self.to_device(below.present, np.bool_)
            previous = previous_channels(self.signal.encode(hu, maps, means), present)
        signal = sample(
            lambda z, t: self._guided(z, t, ids, previous if t[0] < shown_below else None, means).float(),
            start.to(self.device),
            self._scheduler,
            self.settings.sampler.steps,
            generator,
            self.settings.sampler.spacing,
        )
        return self.signal.decode(signal, ids, means).cpu().numpy()

    def sample_in_bf16(self) -> None:
        """See :class:`pivm.generators.protocol.LowPrecision`."""
        self.net.to(torch.bfloat16)

    def generate_volumes(
        self, label_maps: Sequence[np.ndarray], seeds: Sequence[int], spacings_mm: Sequence[Spacing] | None = None
    ) -> Iterator[np.ndarray]:
        """Whole volumes from the bottom up (paper, section 2.2); the first slice is generated too.

        All volumes advance together, and each in stretches side by side (:func:`batches`). ``sampler.reach`` couples
        the start noise along z. A volume is one synthetic patient. See
        :class:`pivm.generators.protocol.Generator`; without spacings voxels are cubic.
        """
        volumes = [np.zeros(label_map.shape, np.int16) for label_map in label_maps]
        reach, means = self.settings.sampler.reach, self._means(seeds)
        spacings = spacings_mm or [(1.0, 1.0, 1.0)] * len(label_maps)
        given = zip(label_maps, seeds, spacings, strict=True)
        noise = [
            self._start(coupled_slices(label_map, seed, spacing, reach), label_map, [seed] * len(label_map))
            for label_map, seed, spacing in given
        ]
        for slices, blind in batches([len(label_map) for label_map in label_maps]):
            below = None
            if not blind:
                under = [(max(z - 1, 0), i) for z, i in slices]
                hu, maps = (np.stack([stack[i][z] for z, i in under]) for stack in (volumes, label_maps))
                below = SlicesBelow(hu, maps, np.array([z > 0 for z, _ in slices]))
            made = self._sample(
                np.stack([label_maps[i][z] for z, i in slices]),
                torch.stack([noise[i][z] for z, i in slices]),
                [step_generator(seeds[i] + z, "steps") for z, i in slices],
                below,
                None if means is None else means[[i for _, i in slices]],
            )
            for (z, i), hu in zip(slices, made, strict=True):
                volumes[i][z] = hu
            if self.on_slices and not blind:
                self.on_slices(len(slices))
        yield from volumes
