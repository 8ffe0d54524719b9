"""What is learnt of PIVM on the variation and CDDPM on absolute HU, one code path (paper, section 2)."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from pivm.cohort.prior import Prior
from pivm.generators.diffusion.mean_network import MeanNetwork, fit_mean
from pivm.generators.diffusion.network import Denoiser
from pivm.generators.diffusion.noise import NoiseProcess, organ_noise
from pivm.generators.diffusion.previous import training_previous
from pivm.generators.diffusion.settings import ConditionSettings, DiffusionSettings
from pivm.generators.diffusion.signal import Signal
from pivm.generators.organ_moments import OrganMoments, fit_patients, own_means
from pivm.generators.patient_means import PatientMeans
from pivm.generators.training_data import TrainingData
from pivm.learning.batches import Batches
from pivm.learning.device import memory_hint
from pivm.learning.feed import Draws, Feed
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.model_files import require_tensors
from pivm.learning.processes import part_of

#: how validation shows the conditions, whatever training does, so that validation losses compare
VALIDATION_CONDITIONS = ConditionSettings(drop_previous=0.5, noise_previous=0.0, model_previous=0.0, drop_labels=0.0)
#: the validation loss is over all validation slices, and where they are few over more passes of them, each with noise
#: of its own, until so many slices were seen; never over more passes than the second number
VALIDATION_SLICES, VALIDATION_ROUNDS = 240, 4
#: validation slices that TensorBoard shows, evaluations of the network for each, and the HU from black to white
PICTURES, PICTURE_STEPS, PICTURE_WINDOW = 4, 5, (-160, 240)
#: prefixes of the names of :class:`PatientMeans` and :class:`MeanNetwork` among the weights, and the name of the shares
PATIENTS, MEAN, SHARES = "patients.", "mean.", "organ_shares"
MaybeTensor = torch.Tensor | None


class DiffusionLearner:
    """A network that is trained, and all that goes with its weights; how it samples is no part of a training.

    Args:
        settings: resolved settings.
        prior: organ means of the training split.
        device: where the network runs.

    Attributes:
        patients: distribution of the organ means of patients; ``None`` where all have the data set's.
        mean: predicts the mean image; ``None`` where the average intensity map is that.
        shares: of the noise that the pixels of each label have in common, float [K]; ``None`` where it is white.
    """

    def __init__(self, settings: DiffusionSettings, prior: Prior, device: torch.device):
        self.settings, self.prior, self.device = settings, prior, device
        own = settings.prior.means == "patient"
        self.patients = PatientMeans.certain(np.array(prior.means), settings.prior.components) if own else None
        self.net = Denoiser(prior.classes, settings.condition, settings.network)
        self.net.to(device)
        self.net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - the stub lacks it
        # after the network, which so starts from the weights that it has without
        self.mean = MeanNetwork(settings.prior, prior).to(device) if settings.prior.means == "regression" else None
        self.signal = Signal(settings.target, settings.noise.scale, prior, self.mean and self.mean.mean)
        noise = settings.noise
        self.shares: MaybeTensor = torch.zeros(prior.classes, device=device) if noise.organ_share else None
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
        own = self._fit_organs(data)
        if self.mean is not None:
            left = fit_mean(self.mean, self.settings.prior, data, validation, batch, seed, run)
            self.prior = dataclasses.replace(data.prior, variation_sd=left.whole, organ_sd=left.own)
        self.signal = dataclasses.replace(self.signal, prior=self.prior)
        shown = None if validation is None else self._own_means(validation)
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
                optimizer=options.optimizer,
                betas=options.betas,
                ema_decay=options.ema_decay,
                validate=None if validation is None else lambda: self._validation_loss(validation, seed, shown),
                pictures=None if validation is None else lambda: self._pictures(validation, seed, shown),
                name=self.settings.name,
                static=True,
            )
        self.net.load_state_dict(weights)

    def _fit_organs(self, data: TrainingData) -> MaybeTensor:
        """What the HU of organs say of patients, and have in common in a scan.

        Returns:
            Organ means of each scan, HU [scans, K]; ``None`` where all have the data set's.
        """
        if self.patients is None and self.shares is None:
            return None
        moments, subtracted, own = OrganMoments.of_data(data), 0.0, None
        if self.patients is not None:
            self.patients, self.prior, subtracted = fit_patients(data, moments, self.settings.prior)
            own = self.to_device(subtracted, np.float32)
        if self.shares is not None:
            self.shares = self.to_device(self.settings.noise.organ_share * moments.common(subtracted), np.float32)
        return own

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
        t, noise = draws.integers(len(self.noise)), self._draw_noise(draws, label_map)
        previous, prediction = None, self.settings.noise.prediction
        if self.sees_below:
            signal = self.signal.encode(below, below_map, means)
            predict = functools.partial(self.predict, label_map=below_map, previous=None, means=means)
            fresh = functools.partial(self._draw_noise, draws, below_map)
            previous = training_previous(signal, present, draws, shown, self.noise, fresh, predict, prediction)
        known = (draws.uniform(1, 1, 1) >= shown.drop_labels).float() if shown.drop_labels else None
        predicted = self.predict(self.noise.add(clean, noise, t), t, label_map, previous, known, means)
        return functional.mse_loss(predicted.float(), self.noise.target(clean, noise, t, prediction))

    def _draw_noise(self, draws: Draws, label_map: torch.Tensor) -> torch.Tensor:
        """The noise of the process, float [N, 1, H, W]."""
        white = draws.normal(1, *label_map.shape[1:])
        if self.shares is None:
            return white
        return organ_noise(white, draws.normal(self.prior.classes), label_map, self.shares)

    def _validation_loss(self, data: TrainingData, seed: int, own: MaybeTensor) -> float:
        """Mean loss over the validation slices, with their own organ means, the same steps and noise at every call."""
        total = torch.zeros((), device=self.device)
        rounds = min(-(-VALIDATION_SLICES // len(data)), VALIDATION_ROUNDS)
        for i in range(rounds):
            for rows in torch.arange(len(data)).split(self.settings.training.batch):
                slices = tuple(a.to(self.device) for a in data.batch(rows))
                draws = Draws(len(rows), slice(None), self.device, seed, "validation", i, int(rows[0]))
                total += self._loss(slices, draws, VALIDATION_CONDITIONS, own) * len(rows)
        return float(total) / (rounds * len(data))

    def _own_means(self, data: TrainingData) -> MaybeTensor:
        """Organ means of each scan, HU [scans, K]; ``None`` where all have the data set's."""
        patients, options = self.patients, self.settings.prior
        return None if patients is None else self.to_device(own_means(data, patients, options), np.float32)

    def _pictures(self, data: TrainingData, seed: int, own: MaybeTensor) -> torch.Tensor:
        """Validation slices, each beside what the network makes of its label map and of one noise, by DDIM.

        How a trained generator samples (``diffusion.sampler``) is no part of a training, so this is a simpler way.

        Returns:
            Grey from 0 to 1, [N, 1, H, 2 W].
        """
        rows = torch.linspace(0, len(data) - 1, min(PICTURES, len(data))).long()
        hu, label_map, _, _, _, scan = (a.to(self.device) for a in data.batch(rows))
        label_map = label_map.long()
        means, prediction = None if own is None else own[scan], self.settings.noise.prediction
        z = self._draw_noise(Draws(len(rows), slice(None), self.device, seed, "pictures"), label_map)
        levels, clean = torch.linspace(len(self.noise) - 1, 0, PICTURE_STEPS + 1, device=self.device).long(), z
        for t, to in itertools.pairwise(levels.expand(len(rows), -1).T):
            clean = self.noise.clean(z, self.predict(z, t, label_map, None, None, means).float(), t, prediction)
            z = self.noise.step(z, clean, t, to)
        low, high = PICTURE_WINDOW
        made = self.signal.decode(clean, label_map, means)
        return ((torch.cat([hu, made], -1).float() - low) / (high - low)).clamp(0, 1)[:, None]

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

    def to_device(self, array: np.ndarray, kind: type) -> torch.Tensor:
        """An array as a tensor of a kind, where the network runs."""
        return torch.from_numpy(array.astype(kind)).to(self.device)

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights of the network, and what stands beside it: organ means of patients, the learnt mean, shares."""
        patients = {} if self.patients is None else dataclasses.asdict(self.patients)
        mean = {} if self.mean is None else self.mean.state_dict()
        return (
            self.net.state_dict()
            | {PATIENTS + name: torch.from_numpy(array) for name, array in patients.items()}
            | {MEAN + name: tensor for name, tensor in mean.items()}
            | ({} if self.shares is None else {SHARES: self.shares})
        )

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Raises StateError where weights and settings do not fit each other."""
        require_tensors({name: tuple(tensor.shape) for name, tensor in self.weights().items()}, weights, folder)
        patients, mean = (
            {name.removeprefix(prefix): weights[name] for name in weights if name.startswith(prefix)}
            for prefix in (PATIENTS, MEAN)
        )
        self.net.load_state_dict({name: weights[name] for name in self.net.state_dict()})
        if self.patients is not None:
            self.patients = PatientMeans(**{name: value.numpy() for name, value in patients.items()})
        if self.mean is not None:
            self.mean.load_state_dict(mean)
            self.mean.eval()
        if self.shares is not None:
            self.shares = weights[SHARES].to(self.device)
