"""Training time to equal validation loss: our denoiser against those of MONAI and diffusers.

    python benchmarks/denoisers.py --results results/phantom [--steps 700] [--cap 4] [--seeds 1 2 3]

All three have about the same number of weights and train in the same loop on the same slices with the same batches,
noise, optimiser and rate; the others get the same embedded labels, prior map and slice below as input channels. Ours
trains for ``--steps`` steps; then each of the others until its validation loss is as low, or ``--cap`` times as long.
The time at which it is as low is interpolated between validations. A seed is of weights, order of slices and noise.
Seconds are those of the training alone, validation left out: CPU seconds of the process, as cores may be shared with
other work (on a GPU wall seconds).
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
import yaml
from common import ROOT, machine, report
from pivm.cohort.prior import Prior
from pivm.cohort.store import SliceStore
from pivm.config import generator_settings
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.network import CONDITION_CHANNELS
from pivm.generators.training_data import TrainingData
from pivm.learning.batches import Batches
from pivm.learning.feed import Draws, Feed
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.torchvision_import import allow_torchvision_import


class Concatenated(torch.nn.Module):
    """A network of another library behind the signature of ours: every condition is an input channel."""

    def __init__(self, classes: int, label_channels: int, make):
        super().__init__()
        self.embed = torch.nn.Embedding(classes, label_channels)
        self.net = make(1 + label_channels + sum(CONDITION_CHANNELS.values()))

    @property
    def head(self) -> torch.nn.Module:
        """Where the library reads the type of the weights."""
        return self.embed

    def forward(self, noisy, t, label_map, prior, previous, known=None):
        if known is not None:
            raise ValueError("diffusion.training.drop_labels: the networks of other libraries do not know it, set 0")
        channels = [noisy, self.embed(label_map).permute(0, 3, 1, 2), prior, previous]
        x = torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last)
        out = self.net(x, t)
        return out if torch.is_tensor(out) else out.sample


def monai_unet(channels: int) -> torch.nn.Module:
    from monai.networks.nets import DiffusionModelUNet

    return DiffusionModelUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=1,
        channels=(32, 56, 96),
        num_res_blocks=1,
        attention_levels=(False, False, True),
        num_head_channels=(0, 0, 96),
        norm_num_groups=8,
    )


def diffusers_unet(channels: int) -> torch.nn.Module:
    allow_torchvision_import()
    from diffusers import UNet2DModel

    return UNet2DModel(
        in_channels=channels,
        out_channels=1,
        block_out_channels=(32, 56, 96),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=96,
        norm_num_groups=8,
    )


class Reached(Exception):
    """The target loss, or the cap, was reached."""


class Race:
    """Validation losses over training seconds; stops a training at its target or cap."""

    def __init__(self, validate, device: torch.device, target: float, cap: float):
        self._validate, self._target, self._cap = validate, target, cap
        self._now = time.perf_counter if device.type == "cuda" else time.process_time
        self.seconds, self.wall, self.curve = 0.0, time.perf_counter(), []
        self._mark = self._now()

    def __call__(self) -> float:
        self.seconds += self._now() - self._mark
        loss = self._validate()
        self.curve.append((round(self.seconds, 1), round(loss, 5)))
        if loss <= self._target or self.seconds >= self._cap:
            raise Reached
        self._mark = self._now()
        return loss


def reached_at(curve: list[tuple[float, float]], target: float) -> float:
    """Seconds at which a curve of (seconds, loss) first is as low as the target; infinite where it never is."""
    for (before, high), (after, low) in pairwise([(0.0, float("inf")), *curve]):
        if low <= target:
            share = (high - target) / (high - low) if high < float("inf") else 1.0
            return before + share * (after - before)
    return float("inf")


def run(
    generator: DiffusionGenerator, parts: dict[str, TrainingData], options, seed: int, target: float, cap: float
) -> Race:
    """Train ``generator.net`` in the workflow's own loop."""
    training, device = generator.settings.training, generator.device
    size, steps = training.batch, options.steps if cap == float("inf") else 10**6
    whole = slice(None)
    feed = Feed(parts["train"], Batches(len(parts["train"]), size, seed), whole, steps, device)
    race = Race(lambda: generator._validation_loss(parts["val"], 1, None), device, target, cap)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Reached):
        train(
            generator.net,
            lambda step: generator._loss(feed.at(step), Draws(size, whole, device, seed, "step", step), training),
            Schedule(steps, training.learning_rate),
            Run(Path(folder) / "losses.csv", compile=False),
            batch=size,
            optimizer=training.optimizer,
            betas=training.betas,
            ema_decay=training.ema_decay,
            validate=race,
            validate_every=options.every,
        )
    return race


def main(options: argparse.Namespace) -> None:
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    store, prior = SliceStore(options.results / "store"), Prior.load(options.results / "prior.json")
    below = store.index["previous"].to_numpy()
    parts = {name: TrainingData(store, prior, store.rows(name), below) for name in ("train", "val")}
    settings = generator_settings(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")), "pivm")
    makers = {"ours": None, "MONAI DiffusionModelUNet": monai_unet, "diffusers UNet2DModel": diffusers_unet}
    for seed in options.seeds:
        compare(makers, settings, prior, parts, options, device, seed)


def compare(makers, settings, prior, parts, options, device, seed: int) -> None:
    """One race of all networks."""
    width = settings.network.label_channels
    target, cap, first = 0.0, float("inf"), None
    for name, make in makers.items():
        torch.manual_seed(seed)
        generator = DiffusionGenerator(settings, prior, device)
        if make:
            generator.net = Concatenated(prior.classes, width, make).to(device, memory_format=torch.channels_last)
        race = run(generator, parts, options, seed, target, cap)
        seconds, loss = race.curve[-1]
        if first is None:
            first, target, cap = seconds, loss, options.cap * seconds
        as_low = reached_at(race.curve, target)
        report(
            {
                "network": name,
                "seed": seed,
                "parameters (M)": sum(p.numel() for p in generator.net.parameters()) / 1e6,
                "steps": len(race.curve) * options.every,
                "s per step": seconds / (len(race.curve) * options.every),
                "training s": seconds,
                "wall s": time.perf_counter() - race.wall,
                "validation loss": loss,
                "ours / this": f"{first / as_low:.2f}" if loss <= target else f"below {first / seconds:.2f}",
                "machine": machine(device),
            }
        )
        print(f"{name}, (s, validation loss): {race.curve}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "phantom")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=700, help="of our denoiser, a multiple of --every")
    parser.add_argument("--every", type=int, default=50, help="steps between two validations")
    parser.add_argument("--cap", type=float, default=4.0, help="the others may take so many times our seconds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="one race each")
    parser.add_argument("--threads", type=int, default=1)
    main(parser.parse_args())
