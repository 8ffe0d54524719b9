"""Train the downstream U-Net on one training set, and apply it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from pivm.errors import ConfigError, StateError
from pivm.learning.device import memory_hint
from pivm.learning.feed import Feed, Prepare
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.model_files import load_model, put_weights, save_model
from pivm.seeds import derived_seed, step_generator
from pivm.segmentation.augmentation import StrongAugmentation, augment_lightly
from pivm.segmentation.drawing_slices import batches_of
from pivm.segmentation.network import make_unet
from pivm.segmentation.settings import SegmenterSettings
from pivm.segmentation.training_set import TrainingSlices
from pivm.settings import plain, read_settings


class Segmenter:
    """The U-Net with its settings (config section ``segmentation``).

    Args:
        classes: labels, background included.
    """

    def __init__(self, settings: SegmenterSettings, classes: int, device: torch.device):
        self.settings, self.classes, self.device = settings, classes, device
        self.net = make_unet(settings.encoder, settings.depth, settings.decoder_channels, classes).to(device)

    def _input(self, hu: torch.Tensor) -> torch.Tensor:
        """HU [N, H, W] to [N, 1, H, W] in [-1, 1]: the same window for every training set."""
        low, high = self.settings.window
        unit = (hu.float().clamp(low, high) - low) / (high - low)
        return (2 * unit - 1)[:, None].contiguous(memory_format=torch.channels_last)

    def fit(self, slices: TrainingSlices, seed: int, run: Run) -> None:
        """Train on a training set."""
        options = self.settings
        schedule = Schedule(options.steps, options.learning_rate, cosine=True)
        batches = batches_of(slices, options, seed)
        strong = options.augmentation.kind == "strong"
        prepare = self._strongly(seed) if strong else None
        feed = Feed(slices, batches, slice(None), schedule.steps, self.device, prepare=prepare)

        def loss_at(step: int) -> torch.Tensor:
            image, truth = feed.at(step)
            if not strong:
                generator = step_generator(seed, "augment", step)
                image, truth = augment_lightly(self._input(image), truth, options.augmentation, generator)
            image = image.contiguous(memory_format=torch.channels_last)
            return segmentation_loss(self.net(image).float(), truth.long())

        with memory_hint("segmentation.batch", options.batch):
            weights = train(
                self.net,
                loss_at,
                schedule,
                run,
                batch=options.batch,
                optimizer=options.optimizer,
                weight_decay=options.weight_decay,
                ema_decay=options.ema_decay,
                name="segmenter",
                static=True,
            )
        self.net.load_state_dict(weights)

    def _strongly(self, seed: int) -> Prepare:
        """What turns the HU and labels of a step into augmented input and labels, on the CPU."""
        change: StrongAugmentation | None = None

        def prepare(step: int, tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            nonlocal change
            hu, truth = tensors
            change = change or StrongAugmentation(hu.shape[-1])
            return change(self._input(hu), truth, derived_seed(seed, "augment", step))

        return prepare

    @torch.no_grad()
    def predict(self, hu: np.ndarray, batch: int) -> np.ndarray:
        """Labels uint8 [N, H, W] for int16 HU [N, H, W], so many slices at once."""
        self.net.eval()
        parts = []
        with memory_hint("segmentation.test_batch", batch):
            for start in range(0, len(hu), batch):
                image = self._input(torch.from_numpy(np.array(hu[start : start + batch])).to(self.device))
                parts.append(self.net(image).argmax(1).to(torch.uint8).cpu().numpy())
        return np.concatenate(parts)

    def save(self, folder: Path, facts: dict) -> None:
        """Weights as safetensors, settings and facts as JSON."""
        save_model(folder, self.net.state_dict(), {"settings": plain(self.settings), "classes": self.classes, **facts})

    @classmethod
    def load(cls, folder: Path, classes: int, device: torch.device) -> Segmenter:
        """Raises StateError where the model is incomplete, or of another number of labels than asked for."""
        weights, facts = load_model(folder)
        if facts.get("classes") != classes:
            raise StateError(
                f"{folder}: trained on another label set, of {facts.get('classes')} labels with the background, asked "
                f"for {classes}; delete it and run the workflow"
            )
        try:
            settings = read_settings(SegmenterSettings, facts.get("settings", {}), "settings", complete=True)
        except ConfigError as error:
            raise StateError(f"{folder}/model.json: {error}: delete it and run the workflow") from None
        segmenter = cls(settings, classes, device)
        put_weights(segmenter.net, weights, folder)
        return segmenter


def segmentation_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice over the classes that occur in the batch.

    Args:
        logits: [N, C, H, W].
        truth: int [N, H, W].
    """
    entropy = functional.cross_entropy(logits, truth)
    probability = logits.softmax(1)
    onehot = functional.one_hot(truth, logits.shape[1]).permute(0, 3, 1, 2).float()
    overlap = (probability * onehot).sum((0, 2, 3))
    sizes = probability.sum((0, 2, 3)) + onehot.sum((0, 2, 3))
    present = onehot.sum((0, 2, 3)) > 0
    dice = (2 * overlap + 1) / (sizes + 1)
    # no choice of rows: how many there are would have to be read from the device
    return entropy + 1 - torch.where(present, dice, 0).sum() / present.sum()
