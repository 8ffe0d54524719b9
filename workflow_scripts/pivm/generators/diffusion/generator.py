"""PIVM and CDDPM as generators: how a trained network makes slices and volumes (paper, section 2)."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from pivm.generators.diffusion.along_z import blocks, coupled_slices, start_noise
from pivm.generators.diffusion.learner import DiffusionLearner, MaybeTensor
from pivm.generators.diffusion.membership import losses_of_slices
from pivm.generators.diffusion.previous import SlicesBelow, previous_channels
from pivm.generators.diffusion.sampler import Begun, begin, finish, make_scheduler
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
        means = self._means(seeds if patient_seeds is None else patient_seeds)
        begun = self._begin(label_map, start_noise(label_map, seeds), math.inf, means)
        return self._finish(begun, label_map, seeds[0], None, means)

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
    def _begin(self, label_map: np.ndarray, start: torch.Tensor, until: float, means: MaybeTensor) -> Begun:
        """The first steps from noise [N, 1, H, W], down to a noise step, for a label map uint8 [N, H, W].

        ``means`` are organ means of the patients, HU [N, K].
        """
        self.net.eval()
        ids = self.to_device(label_map, np.int64)
        predict = functools.partial(self._guided, label_map=ids, previous=None, means=means)
        return begin(predict, start.to(self.device), self._scheduler, self.settings.sampler.steps, until)

    @torch.no_grad()
    def _finish(
        self, begun: Begun, label_map: np.ndarray, seed: int, below: SlicesBelow | None, means: MaybeTensor
    ) -> np.ndarray:
        """The other steps, to HU.

        Args:
            begun: the samples.
            label_map: uint8 [N, H, W].
            seed: of the noise that ``ddpm`` adds.
            below: the slices below, where they exist.
            means: organ means of the patients, HU [N, K].
        """
        ids, previous, shown_below = self.to_device(label_map, np.int64), None, self._shown_below
        if below is not None and self.sees_below:
            hu, maps = self.to_device(below.hu, np.float32), self.to_device(below.label_map, np.int64)
            present = torch.ones(len(hu), dtype=torch.bool, device=self.device)
            previous = previous_channels(self.signal.encode(hu, maps, means), present)
        signal = finish(
            lambda z, t: self._guided(z, t, ids, previous if t[0] < shown_below else None, means),
            begun,
            step_generator(seed, "steps"),
        )
        return self.signal.decode(signal, ids, means).cpu().numpy()

    def generate_volumes(
        self, label_maps: Sequence[np.ndarray], seeds: Sequence[int], spacings_mm: Sequence[Spacing] | None = None
    ) -> Iterator[np.ndarray]:
        """Whole volumes slice by slice from the bottom up (paper, section 2.2); the first slice is generated too.

        All volumes advance together. The first steps, which are not shown the slice below, are taken for many slices in
        one batch; then every slice index is a batch. ``sampler.reach`` couples the start noise along z. A volume is one
        synthetic patient. See :class:`pivm.generators.protocol.Generator`; without spacings voxels are cubic.
        """
        volumes = [np.zeros(label_map.shape, np.int16) for label_map in label_maps]
        reach, means = self.settings.sampler.reach, self._means(seeds)
        noise = [
            coupled_slices(label_map, seeds[i], spacings_mm[i] if spacings_mm else (1.0, 1.0, 1.0), reach)
            for i, label_map in enumerate(label_maps)
        ]
        # the noise of `ddpm` is drawn step by step, for each slice from its own seed
        until = math.inf if self.settings.sampler.name == "ddpm" else self._shown_below
        for slices in blocks(label_maps):
            starts = [next(noise[i]) for _, i in slices]
            theirs = None if means is None else means[[i for _, i in slices]]
            begun = self._begin(np.stack([label_maps[i][z] for z, i in slices]), torch.stack(starts), until, theirs)
            done = 0
            for z, group in itertools.groupby(slices, key=operator.itemgetter(0)):
                live = [i for _, i in group]
                maps = np.stack([label_maps[i][z] for i in live])
                below = None
                if z:
                    below = SlicesBelow(*(np.stack([stack[i][z - 1] for i in live]) for stack in (volumes, label_maps)))
                part, theirs = begun.part(slice(done, done + len(live))), None if means is None else means[live]
                done += len(live)
                for i, hu in zip(live, self._finish(part, maps, seeds[live[0]] + z, below, theirs), strict=True):
                    volumes[i][z] = hu
                if self.on_slices:
                    self.on_slices(len(live))
        yield from volumes
