"""Diffusion generators: PIVM on the variation and CDDPM on absolute HU, one code path (paper, section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from pivm.cohort.prior import Prior
from pivm.generators.diffusion.along_z import coupled_noise
from pivm.generators.diffusion.network import Denoiser, NetworkSettings
from pivm.generators.diffusion.noise import NoiseProcess
from pivm.generators.diffusion.sampler import make_scheduler, sample
from pivm.generators.diffusion.signal import Signal
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
VALIDATION_CONDITIONS = {"drop_previous": 0.5, "noise_previous": 0.0, "model_previous": 0.0, "drop_labels": 0.0}


class DiffusionGenerator(SliceWise):
    """A trained or untrained generator.

    Args:
        settings: the resolved generator settings: ``target``, ``condition`` and the sections ``network``,
            ``noise``, ``sampler`` and ``training`` of the config.
        prior: organ means of the training split.
    """

    def __init__(self, settings: dict, prior: Prior, device: torch.device):
        self.settings, self.device = settings, device
        self.signal = Signal(settings["target"], settings["noise"]["scale"], prior)
        network = settings["network"]
        self.net = Denoiser(
            NetworkSettings(
                classes=prior.classes,
                condition=tuple(settings["condition"]),
                label_channels=network["label_channels"],
                channels=tuple(network["channels"]),
                blocks=network["blocks"],
                attention=network["attention"],
                detail_channels=network["detail_channels"],
            )
        ).to(device, memory_format=torch.channels_last)
        noise = settings["noise"]
        self.noise = NoiseProcess(noise["steps"], noise["zero_terminal_snr"], device, noise["shift"])

    def fit(self, data: TrainingData, validation: TrainingData | None, seed: int, run: Run) -> None:
        """Train and keep the final (EMA) weights."""
        options = self.settings["training"]
        size = options["batch"]
        per_epoch = -(-len(data) // size)
        schedule = Schedule(
            steps=options["epochs"] * per_epoch,
            learning_rate=options["learning_rate"],
            halve_every=options["halve_every_epochs"] * per_epoch,
        )
        part = part_of(size, "diffusion.training.batch")
        feed = Feed(data, Batches(len(data), size, seed), part, schedule.steps, self.device)

        def loss_at(step: int) -> torch.Tensor:
            return self._loss(feed.at(step), Draws(size, part, self.device, seed, "step", step), options)

        with memory_hint("diffusion.training.batch", size):
            weights = train(
                self.net,
                loss_at,
                schedule,
                run,
                batch=size,
                betas=tuple(options["betas"]),
                ema_decay=options["ema_decay"],
                validate=None if validation is None else lambda: self._validation_loss(validation, seed),
                name=self.settings["name"],
            )
        self.net.load_state_dict(weights)

    def _loss(self, slices: tuple[torch.Tensor, ...], draws: Draws, shown: dict) -> torch.Tensor:
        """Mean squared error of the prediction, in float32.

        Args:
            slices: as :meth:`TrainingData.batch` gives them, on the device.
        """
        hu, label_map, below, below_map, has = slices
        label_map, below_map = label_map.long(), below_map.long()
        clean = self.signal.encode(hu, label_map)
        t, noise = draws.integers(len(self.noise)), draws.normal(*clean.shape[1:])
        previous = None
        if "previous" in self.settings["condition"]:
            previous = self._shown_previous(self.signal.encode(below, below_map), below_map, has, draws, shown)
        known = (draws.uniform(1, 1, 1) >= shown["drop_labels"]).float() if shown["drop_labels"] else None
        predicted = self._predict(self.noise.add(clean, noise, t), t, label_map, previous, known)
        target = self.noise.target(clean, noise, t, self.settings["noise"]["prediction"])
        return functional.mse_loss(predicted.float(), target)

    def _shown_previous(self, signal, label_map, present: torch.Tensor, draws: Draws, options: dict):
        """The slice below as a training step shows it: left out, model-made, or noisy, as it will be in sampling.

        Args:
            signal: the real slice below in the network's units [N, 1, H, W]; present: bool [N], whether there is one;
            options: ``drop_previous`` and ``model_previous``, shares; ``noise_previous``, largest sd of the noise.
        """
        keep = draws.uniform() >= options["drop_previous"]
        if draws.coin() < options["model_previous"]:
            t = draws.integers(len(self.noise))
            noisy = self.noise.add(signal, draws.normal(*signal.shape[1:]), t)
            with torch.no_grad():
                predicted = self._predict(noisy, t, label_map, None).float()
            signal = self.noise.clean(noisy, predicted, t, self.settings["noise"]["prediction"])
        if options["noise_previous"]:
            signal = signal + options["noise_previous"] * draws.uniform(1, 1, 1) * draws.normal(*signal.shape[1:])
        return self._previous(signal, present & keep)

    def _validation_loss(self, data: TrainingData, seed: int, rounds: int = 4) -> float:
        """Mean loss over the validation slices with the same steps and noise at every call."""
        total = torch.zeros((), device=self.device)
        for i in range(rounds):
            for rows in torch.arange(len(data)).split(self.settings["training"]["batch"]):
                slices = tuple(a.to(self.device) for a in data.batch(rows))
                draws = Draws(len(rows), slice(None), self.device, seed, "validation", i, int(rows[0]))
                total += self._loss(slices, draws, VALIDATION_CONDITIONS) * len(rows)
        return float(total) / (rounds * len(data))

    @staticmethod
    def _previous(signal: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        flag = present.float()[:, None, None, None].expand_as(signal)
        return torch.cat([signal * flag, flag], dim=1)

    def _predict(self, noisy, t, label_map, previous, known=None):
        if "previous" in self.settings["condition"] and previous is None:
            previous = torch.zeros(len(noisy), 2, *noisy.shape[2:], device=self.device)
        return self.net(noisy, t, label_map, self.signal.prior_channel(label_map), previous, known)

    def _guided(self, noisy, t, label_map, previous):
        """Classifier-free guidance: away from the prediction without labels; one evaluation more where it is on."""
        predicted = self._predict(noisy, t, label_map, previous)
        guidance = self.settings["sampler"]["guidance"]
        if guidance == 1:
            return predicted
        blind = self._predict(noisy, t, label_map, previous, torch.zeros(len(noisy), 1, 1, 1, device=self.device))
        return blind + guidance * (predicted - blind)

    def _scheduler(self):
        noise, sampler = self.settings["noise"], self.settings["sampler"]
        return make_scheduler(
            sampler["name"],
            sampler["steps"],
            noise["steps"],
            noise["zero_terminal_snr"],
            noise["prediction"],
            noise["shift"],
        )

    def generate(self, label_map: np.ndarray, seeds: list[int]) -> np.ndarray:
        """Synthetic slices for label maps.

        Args:
            label_map: uint8 [N, H, W], as :meth:`Prior.label_map` gives it.
            seeds: one per slice; with dpm++ and ddim a slice depends on its own seed and label map alone.

        Returns:
            int16 HU [N, H, W].
        """
        return self._sample(label_map, self._start(label_map, seeds), seeds[0], None)

    @staticmethod
    def _start(label_map: np.ndarray, seeds: list[int]) -> torch.Tensor:
        shape = (1, *label_map.shape[1:])
        return torch.stack([torch.randn(shape, generator=step_generator(s, "start")) for s in seeds])

    @torch.no_grad()
    def _sample(self, label_map: np.ndarray, start: torch.Tensor, seed: int, below) -> np.ndarray:
        """From noise to HU.

        Args:
            start: noise [N, 1, H, W]; seed: of the noise that ``ddpm`` adds;
            below: (int16 HU [N, H, W], label map [N, H, W]) of the slices below, or ``None``.
        """
        self.net.eval()
        ids, previous = self._to_device(label_map, np.int64), None
        if below is not None and "previous" in self.settings["condition"]:
            hu, maps = below
            encoded = self.signal.encode(self._to_device(hu, np.float32), self._to_device(maps, np.int64))
            previous = self._previous(encoded, torch.ones(len(hu), dtype=torch.bool, device=self.device))
        shown_below = self.settings["sampler"]["previous_from"] * len(self.noise)
        signal = sample(
            lambda z, t: self._guided(z, t, ids, previous if t[0] < shown_below else None),
            start.to(self.device),
            self._scheduler(),
            step_generator(seed, "steps"),
        )
        return self.signal.decode(signal, ids).cpu().numpy()

    def _to_device(self, array: np.ndarray, kind: type) -> torch.Tensor:
        return torch.from_numpy(array.astype(kind)).to(self.device)

    def generate_volumes(
        self, label_maps: list[np.ndarray], seeds: list[int], spacings: list[tuple[float, float, float]] | None = None
    ) -> Iterator[np.ndarray]:
        """Whole volumes slice by slice from the bottom up (paper, section 2.2); the first slice is generated too.

        All volumes advance together, one batch per slice index. ``sampler.reach`` couples the start noise along z.

        Args:
            label_maps: one uint8 [S, H, W] per volume; seeds: one per volume;
            spacings: mm along W, H and z; ``None``: cubic voxels.

        Yields:
            int16 HU [S, H, W] per volume, in order.
        """
        volumes, starts = [np.zeros(m.shape, np.int16) for m in label_maps], [None] * len(label_maps)
        reach = self.settings["sampler"]["reach"]
        for z in range(max(len(m) for m in label_maps)):
            live = [i for i, m in enumerate(label_maps) if z < len(m)]
            maps = np.stack([label_maps[i][z] for i in live])
            fresh = self._start(maps, [seeds[i] + z for i in live])
            for i, noise in zip(live, fresh, strict=True):
                *pixel, step = spacings[i] if spacings else (1.0, 1.0, 1.0)
                starts[i] = coupled_noise(starts[i], noise, tuple(pixel), step, reach) if z and reach else noise
            below = tuple(np.stack([a[i][z - 1] for i in live]) for a in (volumes, label_maps)) if z else None
            hu = self._sample(maps, torch.stack([starts[i] for i in live]), seeds[live[0]] + z, below)
            for i, one in zip(live, hu, strict=True):
                volumes[i][z] = one
        yield from volumes

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights of the network."""
        return self.net.state_dict()

    def put(self, weights: dict[str, torch.Tensor], folder: Path) -> None:
        """Raises StateError where weights and settings do not fit each other."""
        put_weights(self.net, weights, folder)
