"""PIVM on the variation and CDDPM on absolute HU, one code path (paper, section 2)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from pivm.cohort.prior import Prior
from pivm.generators.diffusion.along_z import batches, coupled_slices, start_noise
from pivm.generators.diffusion.membership import losses_of_slices
from pivm.generators.diffusion.network import Denoiser
from pivm.generators.diffusion.noise import NoiseProcess
from pivm.generators.diffusion.previous import SlicesBelow, previous_channels, training_previous
from pivm.generators.diffusion.sampler import make_scheduler, sample
from pivm.generators.diffusion.settings import ConditionSettings, DiffusionSettings
from pivm.generators.diffusion.signal import Signal
from pivm.generators.organ_moments import fit_patients, own_means
from pivm.generators.patient_means import PatientMeans
from pivm.generators.protocol import Spacing
from pivm.generators.slicewise import SliceWise
from pivm.generators.training_data import TrainingData
from pivm.learning.batches import Batches
from pivm.learning.device import memory_hint
from pivm.learning.feed import Draws, Feed
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.model_files import put_weights, require_tensors
from pivm.learning.processes import part_of
from pivm.seeds import step_generator

#: how validation shows the conditions, whatever training does, so that validation losses compare
VALIDATION_CONDITIONS = ConditionSettings(drop_previous=0.5, noise_previous=0.0, model_previous=0.0, drop_labels=0.0)
#: passes over the validation slices, each with noise of its own
VALIDATION_ROUNDS = 4
#: prefix of the names of :class:`PatientMeans` among the weights
PATIENTS = "patients."
MaybeTensor = torch.Tensor | None


class DiffusionGenerator(SliceWise):
    """A trained or untrained generator.

    Args:
        settings: resolved settings.
        prior: organ means of the training split.
        device: where the network runs.

    Attributes:
        patients: distribution of the organ means of patients; ``None`` where all have the data set's.
    """

    def __init__(self, settings: DiffusionSettings, prior: Prior, device: torch.device):
        self.settings, self.prior, self.device = settings, prior, device
        self.signal = Signal(settings.target, settings.noise.scale, prior)
        own = settings.prior.means == "patient"
        self.patients = PatientMeans.certain(np.array(prior.means), settings.prior.components) if own else None
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
        own = None
        if self.patients is not None:
            self.patients, self.prior, means = fit_patients(data, self.settings.prior)
            self.signal = dataclasses.replace(self.signal, prior=self.prior)
            own = self.to_device(means, np.float32)
        feed = Feed(data, Batches(len(data), batch, seed), part, schedule.steps, self.device)

        def loss_at(step: int) -> torch.Tensor:
            return self._loss(feed.at(step), Draws(batch, part, self.device, seed, "step", step), options, own)

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
                static=True,
            )
        self.net.load_state_dict(weights)

    def _loss(
        self, slices: tuple[torch.Tensor, ...], draws: Draws, shown: ConditionSettings, own: MaybeTensor = None
    ) -> torch.Tensor:
        """Mean squared error of the prediction, in float32.

        Args:
            slices: as :meth:`TrainingData.batch` gives them, on the device.
            draws: random numbers of the step.
            shown: how the conditions are shown.
            own: organ means of each scan, HU [scans, K]; ``None`` for the data set's.
        """
        hu, label_map, below, below_map, present, scan = slices
        label_map, below_map = label_map.long(), below_map.long()
        means = None if own is None else own[scan]
        clean = self.signal.encode(hu, label_map, means)
        t, noise = draws.integers(len(self.noise)), draws.normal(*clean.shape[1:])
        previous, prediction = None, self.settings.noise.prediction
        if self.sees_below:
            signal = self.signal.encode(below, below_map, means)
            predict = functools.partial(self.predict, label_map=below_map, previous=None, means=means)
            previous = training_previous(signal, present, draws, shown, self.noise, predict, prediction)
        known = (draws.uniform(1, 1, 1) >= shown.drop_labels).float() if shown.drop_labels else None
        predicted = self.predict(self.noise.add(clean, noise, t), t, label_map, previous, known, means)
        return functional.mse_loss(predicted.float(), self.noise.target(clean, noise, t, prediction))

    def _validation_loss(self, data: TrainingData, seed: int) -> float:
        """Mean loss over the validation slices, with their own organ means, the same steps and noise at every call."""
        patients, options = self.patients, self.settings.prior
        own = None if patients is None else self.to_device(own_means(data, patients, options), np.float32)
        total = torch.zeros((), device=self.device)
        for i in range(VALIDATION_ROUNDS):
            for rows in torch.arange(len(data)).split(self.settings.training.batch):
                slices = tuple(a.to(self.device) for a in data.batch(rows))
                draws = Draws(len(rows), slice(None), self.device, seed, "validation", i, int(rows[0]))
                total += self._loss(slices, draws, VALIDATION_CONDITIONS, own) * len(rows)
        return float(total) / (VALIDATION_ROUNDS * len(data))

    def denoising_losses(self, hu: np.ndarray, label_map: np.ndarray, level: float, seed: int) -> np.ndarray:
        """The loss of single slices at one noise level; see :class:`pivm.generators.protocol.LossTeller`."""
        return losses_of_slices(self, hu, label_map, level, seed)

    def predict(
        self,
        noisy: torch.Tensor,
        t: torch.Tensor,
        label_map: torch.Tensor,
        previous: MaybeTensor,
        known: MaybeTensor = None,
        means: MaybeTensor = None,
    ) -> torch.Tensor:
        """epsilon_theta(v_t, t, s, I) of section 2.1, with the slice below of section 2.2."""
        if self.sees_below and previous is None:
            previous = torch.zeros(len(noisy), 2, *noisy.shape[2:], device=self.device)
        kind = self.net.head.weight.dtype
        conditions = (self.signal.prior_channel(label_map, means), previous, known)
        return self.net(noisy.to(kind), t, label_map, *(one if one is None else one.to(kind) for one in conditions))

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
        return self._sample(label_map, start_noise(label_map, seeds), step_generator(seeds[0], "steps"), None, means)

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
        )
        return self.signal.decode(signal, ids, means).cpu().numpy()

    def sample_in_bf16(self) -> None:
        """See :class:`pivm.generators.protocol.LowPrecision`."""
        self.net.to(torch.bfloat16)

    def to_device(self, array: np.ndarray, kind: type) -> torch.Tensor:
        """An array as a tensor of a kind, where the network runs."""
        return torch.from_numpy(array.astype(kind)).to(self.device)

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
        noise = [coupled_slices(label_map, seed, spacing, reach) for label_map, seed, spacing in given]
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

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights of the network, and the distribution of organ means where patients have their own."""
        return self.net.state_dict() | self._patient_tensors()

    def _patient_tensors(self) -> dict[str, torch.Tensor]:
        arrays = {} if self.patients is None else dataclasses.asdict(self.patients)
        return {PATIENTS + name: torch.from_numpy(array) for name, array in arrays.items()}

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Raises StateError where weights and settings do not fit each other."""
        own = {name: value for name, value in weights.items() if name.startswith(PATIENTS)}
        put_weights(self.net, {name: value for name, value in weights.items() if name not in own}, folder)
        require_tensors({name: tuple(t.shape) for name, t in self._patient_tensors().items()}, own, folder)
        if own:
            self.patients = PatientMeans(**{name.removeprefix(PATIENTS): value.numpy() for name, value in own.items()})
