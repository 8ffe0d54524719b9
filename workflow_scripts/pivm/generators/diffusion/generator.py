"""PIVM on the variation and CDDPM on absolute HU, one code path (paper, section 2)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from pivm.cohort.prior import Prior
from pivm.generators.diffusion.along_z import coupled_noise
from pivm.generators.diffusion.network import Denoiser
from pivm.generators.diffusion.noise import NoiseProcess
from pivm.generators.diffusion.previous import previous_channels, training_previous
from pivm.generators.diffusion.sampler import make_scheduler, sample
from pivm.generators.diffusion.settings import ConditionSettings, DiffusionSettings
from pivm.generators.diffusion.signal import Signal
from pivm.generators.protocol import Spacing
from pivm.generators.slicewise import SliceWise
from pivm.generators.training_data import TrainingData
from pivm.learning.batches import Batches
from pivm.learning.device import memory_hint
from pivm.learning.feed import Draws, Feed
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.model_files import put_weights
from pivm.learning.processes import part_of
from pivm.seeds import step_generator

#: how validation shows the conditions, whatever training does, so that validation losses compare
VALIDATION_CONDITIONS = ConditionSettings(drop_previous=0.5, noise_previous=0.0, model_previous=0.0, drop_labels=0.0)
#: passes over the validation slices, each with noise of its own
VALIDATION_ROUNDS = 4


class SlicesBelow(NamedTuple):
    """The slices right below those that are generated: int16 HU and label map [N, H, W]."""

    hu: np.ndarray
    label_map: np.ndarray


class DiffusionGenerator(SliceWise):
    """A trained or untrained generator.

    Args:
        settings: resolved settings.
        prior: organ means of the training split.
        device: where the network runs.
    """

    def __init__(self, settings: DiffusionSettings, prior: Prior, device: torch.device):
        self.settings, self.prior, self.device = settings, prior, device
        self.signal = Signal(settings.target, settings.noise.scale, prior)
        self.net = Denoiser(prior.classes, settings.condition, settings.network)
        self.net.to(device)
        self.net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - the stub lacks it
        noise = settings.noise
        self.noise = NoiseProcess(noise.steps, noise.zero_terminal_snr, device, noise.shift)

    @property
    def sees_below(self) -> bool:
        """The network is shown the slice below."""
        return "previous" in self.settings.condition

    def fit(self, data: TrainingData, validation: TrainingData | None, seed: int, run: Run) -> None:
        """Train and keep the final (EMA) weights; see :class:`pivm.generators.protocol.Trainable`."""
        options = self.settings.training
        batch, steps_per_epoch = options.batch, -(-data.per_epoch // options.batch)
        schedule = Schedule(
            steps=options.epochs * steps_per_epoch,
            learning_rate=options.learning_rate,
            halve_every=options.halve_every_epochs * steps_per_epoch,
        )
        part = part_of(batch, "diffusion.training.batch")
        feed = Feed(data, Batches(len(data), batch, seed), part, schedule.steps, self.device)

        def loss_at(step: int) -> torch.Tensor:
            return self._loss(feed.at(step), Draws(batch, part, self.device, seed, "step", step), options)

        with memory_hint("diffusion.training.batch", batch):
            weights = train(
                self.net,
                loss_at,
                schedule,
                run,
                batch=batch,
                betas=options.betas,
                ema_decay=options.ema_decay,
                validate=None if validation is None else lambda: self._validation_loss(validation, seed),
                name=self.settings.name,
            )
        self.net.load_state_dict(weights)

    def _loss(self, slices: tuple[torch.Tensor, ...], draws: Draws, shown: ConditionSettings) -> torch.Tensor:
        """Mean squared error of the prediction, in float32.

        Args:
            slices: as :meth:`TrainingData.batch` gives them, on the device.
            draws: random numbers of the step.
            shown: how the conditions are shown.
        """
        hu, label_map, below, below_map, present = slices
        label_map, below_map = label_map.long(), below_map.long()
        clean = self.signal.encode(hu, label_map)
        t, noise = draws.integers(len(self.noise)), draws.normal(*clean.shape[1:])
        previous, prediction = None, self.settings.noise.prediction
        if self.sees_below:
            signal = self.signal.encode(below, below_map)
            predict = functools.partial(self._predict, label_map=below_map, previous=None)
            previous = training_previous(signal, present, draws, shown, self.noise, predict, prediction)
        known = (draws.uniform(1, 1, 1) >= shown.drop_labels).float() if shown.drop_labels else None
        predicted = self._predict(self.noise.add(clean, noise, t), t, label_map, previous, known)
        return functional.mse_loss(predicted.float(), self.noise.target(clean, noise, t, prediction))

    def _validation_loss(self, data: TrainingData, seed: int) -> float:
        """Mean loss over the validation slices with the same steps and noise at every call."""
        total = torch.zeros((), device=self.device)
        for i in range(VALIDATION_ROUNDS):
            for rows in torch.arange(len(data)).split(self.settings.training.batch):
                slices = tuple(a.to(self.device) for a in data.batch(rows))
                draws = Draws(len(rows), slice(None), self.device, seed, "validation", i, int(rows[0]))
                total += self._loss(slices, draws, VALIDATION_CONDITIONS) * len(rows)
        return float(total) / (VALIDATION_ROUNDS * len(data))

    @torch.no_grad()
    def denoising_losses(self, hu: np.ndarray, label_map: np.ndarray, level: float, seed: int) -> np.ndarray:
        """The loss of single slices at one noise level; see :class:`pivm.generators.protocol.LossTeller`."""
        self.net.eval()
        ids, prediction = self._to_device(label_map, np.int64), self.settings.noise.prediction
        clean = self.signal.encode(self._to_device(hu, np.float32), ids)
        t = torch.full((len(hu),), max(1, round(level * len(self.noise))) - 1, device=self.device)
        # one noise for all slices: what they differ by is then not the luck of the draw
        noise = torch.randn(clean.shape[1:], generator=step_generator(seed, "membership")).to(self.device)
        noise = noise.expand_as(clean)
        predicted = self._predict(self.noise.add(clean, noise, t), t, ids, None)
        return (predicted - self.noise.target(clean, noise, t, prediction)).pow(2).mean((1, 2, 3)).cpu().numpy()

    def _predict(
        self,
        noisy: torch.Tensor,
        t: torch.Tensor,
        label_map: torch.Tensor,
        previous: torch.Tensor | None,
        known: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """epsilon_theta(v_t, t, s, I) of section 2.1, with the slice below of section 2.2."""
        if self.sees_below and previous is None:
            previous = torch.zeros(len(noisy), 2, *noisy.shape[2:], device=self.device)
        return self.net(noisy, t, label_map, self.signal.prior_channel(label_map), previous, known)

    def _guided(
        self, noisy: torch.Tensor, t: torch.Tensor, label_map: torch.Tensor, previous: torch.Tensor | None
    ) -> torch.Tensor:
        """Classifier-free guidance: away from the prediction without labels; one evaluation more where it is on."""
        predicted = self._predict(noisy, t, label_map, previous)
        guidance = self.settings.sampler.guidance
        if guidance == 1:
            return predicted
        blind = self._predict(noisy, t, label_map, previous, torch.zeros(len(noisy), 1, 1, 1, device=self.device))
        return blind + guidance * (predicted - blind)

    @functools.cached_property
    def _scheduler(self) -> Any:
        return make_scheduler(self.settings.sampler.name, self.settings.noise)

    def generate(self, label_map: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Single slices; see :class:`pivm.generators.protocol.Generator`.

        With ``ddpm`` the noise of the steps is that of the first seed for all slices of a call.
        """
        return self._sample(label_map, _start_noise(label_map, seeds), seeds[0], None)

    @torch.no_grad()
    def _sample(self, label_map: np.ndarray, start: torch.Tensor, seed: int, below: SlicesBelow | None) -> np.ndarray:
        """From noise to HU.

        Args:
            label_map: uint8 [N, H, W].
            start: noise [N, 1, H, W].
            seed: of the noise that ``ddpm`` adds.
            below: the slices below, where they exist.
        """
        self.net.eval()
        ids, previous, sampler = self._to_device(label_map, np.int64), None, self.settings.sampler
        if below is not None and self.sees_below:
            hu, maps = self._to_device(below.hu, np.float32), self._to_device(below.label_map, np.int64)
            present = torch.ones(len(hu), dtype=torch.bool, device=self.device)
            previous = previous_channels(self.signal.encode(hu, maps), present)
        shown_below = sampler.previous_from * len(self.noise)
        signal = sample(
            lambda z, t: self._guided(z, t, ids, previous if t[0] < shown_below else None),
            start.to(self.device),
            self._scheduler,
            sampler.steps,
            step_generator(seed, "steps"),
        )
        return self.signal.decode(signal, ids).cpu().numpy()

    def _to_device(self, array: np.ndarray, kind: type) -> torch.Tensor:
        return torch.from_numpy(array.astype(kind)).to(self.device)

    def generate_volumes(
        self, label_maps: Sequence[np.ndarray], seeds: Sequence[int], spacings_mm: Sequence[Spacing] | None = None
    ) -> Iterator[np.ndarray]:
        """Whole volumes slice by slice from the bottom up (paper, section 2.2); the first slice is generated too.

        All volumes advance together, one batch per slice index. ``sampler.reach`` couples the start noise along z.
        See :class:`pivm.generators.protocol.Generator`; without spacings voxels are cubic.
        """
        volumes = [np.zeros(label_map.shape, np.int16) for label_map in label_maps]
        starts: dict[int, torch.Tensor] = {}
        reach = self.settings.sampler.reach
        for z in range(max(map(len, label_maps))):
            live = [i for i, label_map in enumerate(label_maps) if z < len(label_map)]
            slice_maps = np.stack([label_maps[i][z] for i in live])
            fresh = _start_noise(slice_maps, [seeds[i] + z for i in live])
            for i, noise in zip(live, fresh, strict=True):
                width_mm, height_mm, step_mm = spacings_mm[i] if spacings_mm else (1.0, 1.0, 1.0)
                coupled = z and reach
                starts[i] = coupled_noise(starts[i], noise, (width_mm, height_mm), step_mm, reach) if coupled else noise
            below = None
            if z:
                below = SlicesBelow(*(np.stack([stack[i][z - 1] for i in live]) for stack in (volumes, label_maps)))
            hu = self._sample(slice_maps, torch.stack([starts[i] for i in live]), seeds[live[0]] + z, below)
            for i, slice_hu in zip(live, hu, strict=True):
                volumes[i][z] = slice_hu
        yield from volumes

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights of the network."""
        return self.net.state_dict()

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Raises StateError where weights and settings do not fit each other."""
        put_weights(self.net, weights, folder)


def _start_noise(label_map: np.ndarray, seeds: Sequence[int]) -> torch.Tensor:
    shape = (1, *label_map.shape[1:])
    return torch.stack([torch.randn(shape, generator=step_generator(seed, "start")) for seed in seeds])
