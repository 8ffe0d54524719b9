# pyright: basic, reportCallIssue=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportIndexIssue=false
# the networks are modules of MONAI, whose attributes have no types
"""The three trainings of MAISI, in order: autoencoder, diffusion on its latents, ControlNet on a frozen diffusion."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from pivm.cohort.prior import Prior
from pivm.cohort.split import training_rows
from pivm.cohort.store import SliceStore
from pivm.errors import StateError
from pivm.generators.maisi.networks import STAGES, TIME_STEPS, MaisiNetworks
from pivm.generators.maisi.settings import MaisiSettings
from pivm.generators.maisi.slabs import SlabData, bit_planes, slab_of, to_unit
from pivm.learning.batches import Batches
from pivm.learning.device import memory_hint
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.model_files import load_model, put_weights, save_model
from pivm.seeds import derived_seed, step_generator

#: the decoder's output is multiplied by this while it learns
OUTPUT_GAIN = 0.1
#: of the posterior at the start: a standard deviation of 0.05
NARROW_LOG_VARIANCE = -6.0


def open_slabs(
    store: SliceStore, split_file: Path, prior: Prior, settings: MaisiSettings
) -> dict[str, SlabData | None]:
    """Slabs of the training and validation patients; ``None`` for a split without patients.

    Raises:
        StateError: a slice is of a patient of another split.
    """
    rows, slab = training_rows(store, split_file, f"generator {settings.name}"), slab_of(settings)
    return {part: SlabData(store, prior, chosen, slab) if len(chosen) else None for part, chosen in rows.items()}


def make_networks(settings: MaisiSettings, device: torch.device, seed: int, last: str = STAGES[-1]) -> MaisiNetworks:
    """Untrained networks; every stage starts from the same draws."""
    torch.manual_seed(seed)
    return MaisiNetworks(settings, device.type == "cuda", last).to(device)


@dataclass
class Stage:
    """What a training of MAISI works on.

    Attributes:
        nets: the networks, those of earlier stages trained.
        settings: resolved settings of the generator.
        data: slabs of the training patients.
        validation: slabs of the validation patients, ``None`` where no patient is kept for it.
        seed: of all draws.
    """

    nets: MaisiNetworks
    settings: MaisiSettings
    data: SlabData
    validation: SlabData | None
    seed: int


def open_stage(
    name: str,
    settings: MaisiSettings,
    seed: int,
    device: torch.device,
    prior: Prior,
    store: SliceStore,
    split_file: Path,
    earlier: Sequence[Path] = (),
) -> Stage:
    """A stage with its data and networks.

    Args:
        name: one of :data:`STAGES`.
        settings: resolved settings, those of later stages left to their defaults.
        seed: of the config.
        device: where the networks run.
        prior: makes the label maps.
        store: the slice store.
        split_file: the split.
        earlier: folders of the stages before.

    Raises:
        StateError: an earlier stage is of other sizes; a slice is of a patient of another split.
    """
    slabs, seed = open_slabs(store, split_file, prior, settings), derived_seed(seed, "generator")
    nets = make_networks(settings, device, seed, name)
    for folder in earlier:
        put_stage(nets, folder)
    if slabs["train"] is None:
        raise StateError("the slice store holds no training patient to train MAISI on")
    return Stage(nets, settings, slabs["train"], slabs["val"], seed)


def save_stage(nets: MaisiNetworks, stage: str, folder: Path, made: dict) -> None:
    """The network of one stage; the diffusion stage also keeps scale and spacing of the latents.

    Args:
        made: code and versions (:func:`pivm.job.made`).
    """
    keep = {"autoencoder": ("autoencoder.",), "diffusion": ("diffusion.", "scale", "spacing")}[stage]
    weights = {k: v for k, v in nets.state_dict().items() if k.startswith(keep)}
    save_model(folder, weights, {"stage": stage, "made": made})


def put_stage(nets: MaisiNetworks, folder: Path) -> None:
    """What :func:`save_stage` wrote.

    Raises:
        StateError: the stage is of other sizes.
    """
    weights, _ = load_model(folder)
    put_weights(nets, {**nets.state_dict(), **weights}, folder)


def fit_autoencoder(stage: Stage, run: Run) -> None:
    """KL autoencoder on slabs in [0, 1]: L1 and a small weight on the divergence of the posterior from N(0, 1).

    It learns from pieces of slabs at random places in plane. Two measures make it learn in few steps. The posterior
    starts narrow, not as wide as the latents themselves. And while it learns the decoder's output is multiplied by
    :data:`OUTPUT_GAIN`, which its last convolution takes over at the end: a step of Adam would else move all voxels
    by hundreds of HU at once.
    """
    nets, options, hu_range = stage.nets, stage.settings.autoencoder, stage.settings.slab.hu_range
    device = nets.scale.device

    def loss(part: SlabData, which: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        hu = part.hu(which)
        if part is stage.data:
            side = min(options.patch, hu.shape[2])
            x, y = torch.randint(hu.shape[2] - side + 1, (2,), generator=generator).tolist()
            hu = hu[:, :, x : x + side, y : y + side]
        image = to_unit(hu, hu_range).to(device)
        mean, sigma = nets.autoencoder.encode(image)
        latent = mean + sigma * torch.randn(mean.shape, generator=generator).to(device)
        divergence = 0.5 * (mean**2 + sigma**2 - torch.log(sigma**2) - 1).sum() / len(image)
        decoded = OUTPUT_GAIN * nets.autoencoder.decode(latent)
        return functional.l1_loss(decoded, image) + options.kl_weight * divergence

    spread = nets.autoencoder.quant_conv_log_sigma.conv
    nn.init.zeros_(spread.weight)
    nn.init.constant_(spread.bias, NARROW_LOG_VARIANCE)
    _fit(stage, "autoencoder", loss, run)
    with torch.no_grad():
        for parameter in nets.autoencoder.decoder.blocks[-1].parameters():
            parameter.mul_(OUTPUT_GAIN)


def fit_diffusion(stage: Stage, run: Run) -> None:
    """Rectified flow on latents without labels; first sets ``nets.scale`` from the training latents."""
    nets, spacing = stage.nets, stage.data.spacing
    latents = encode(nets, stage.settings, stage.data)
    nets.scale.fill_(1 / latents.std())
    nets.spacing.copy_(torch.stack([spacing.mean(0), spacing.amin(0), spacing.amax(0)]))
    _fit(stage, "diffusion", _velocity_loss(stage, {id(stage.data): latents}, labels=False), run)


def fit_controlnet(stage: Stage, run: Run) -> None:
    """ControlNet on the bit-planes of the label map; the diffusion network is frozen and its weights are the start."""
    from monai.networks.utils import copy_model_state

    stage.nets.diffusion.requires_grad_(False)
    copy_model_state(stage.nets.controlnet, stage.nets.diffusion.state_dict())
    _fit(stage, "controlnet", _velocity_loss(stage, {}, labels=True), run)


@torch.no_grad()
def encode(nets: MaisiNetworks, settings: MaisiSettings, data: SlabData) -> torch.Tensor:
    """Posterior means [N, C, x, y, z] of all slabs, not scaled.

    One slab at a time in float32, wherever the caller stands: every stage and split gets the same latents.
    """
    device, slab = nets.scale.device, settings.slab
    one_by_one = torch.arange(len(data)).split(1)
    with memory_hint("maisi.slab.depth", slab.depth), torch.autocast(device.type, enabled=False):
        images = (to_unit(data.hu(which), slab.hu_range).to(device) for which in one_by_one)
        return torch.cat([nets.autoencoder.encode(image)[0] for image in images])


def _velocity_loss(stage: Stage, latents: dict[int, torch.Tensor], labels: bool):
    """L1 on the velocity ``clean - noise`` at uniform times, the loss of the released rectified flow."""
    nets, device = stage.nets, stage.nets.scale.device

    def loss(part: SlabData, which: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if id(part) not in latents:
            latents[id(part)] = encode(nets, stage.settings, part)
        clean = latents[id(part)][which] * nets.scale
        noise = torch.randn(clean.shape, generator=generator).to(device)
        t = TIME_STEPS * torch.rand(len(which), generator=generator).to(device)
        share = (t / TIME_STEPS).view(-1, 1, 1, 1, 1)
        noisy = (1 - share) * clean + share * noise
        planes = bit_planes(torch.from_numpy(part.label_map(which)).to(device)) if labels else None
        predicted = nets.velocity(noisy, t, planes, part.spacing[which].to(device))
        return functional.l1_loss(predicted, clean - noise)

    return loss


def _fit(
    stage: Stage, name: str, loss: Callable[[SlabData, torch.Tensor, torch.Generator], torch.Tensor], run: Run
) -> None:
    net, options, data, seed = getattr(stage.nets, name), getattr(stage.settings, name), stage.data, stage.seed
    batches, validate = Batches(len(data), options.batch, seed), None
    if stage.validation is not None:
        validate = functools.partial(_validation_loss, loss, stage.validation, options.batch, seed)
    with memory_hint(f"maisi.{name}.batch", options.batch):
        weights = train(
            net,
            lambda step: loss(data, batches.at(step), step_generator(seed, name, step)),
            Schedule(options.steps, options.learning_rate, cosine=True),
            run,
            batch=options.batch,
            optimizer=options.optimizer,
            ema_decay=options.ema_decay,
            validate=validate,
            name=f"MAISI {name}",
        )
    net.load_state_dict(weights)


def _validation_loss(loss, data: SlabData, batch: int, seed: int) -> float:
    """Mean loss over the validation slabs with the same times and noise at every call."""
    losses = [
        float(loss(data, which, step_generator(seed, "validation", int(which[0])))) * len(which)
        for which in torch.arange(len(data)).split(batch)
    ]
    return sum(losses) / len(data)
