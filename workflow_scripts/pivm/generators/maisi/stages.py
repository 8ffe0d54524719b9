"""The three trainings of MAISI, in order: autoencoder, diffusion on its latents, ControlNet on a frozen diffusion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from pivm.cohort import read_split, require_split
from pivm.compute import memory_hint
from pivm.generators.maisi.networks import TIME_STEPS, MaisiNetworks
from pivm.generators.maisi.volumes import SlabData, bit_planes, slab_of, to_unit
from pivm.model_files import load_model, put_weights, save_model
from pivm.prior import Prior
from pivm.slices import SliceStore
from pivm.training import Batches, Run, Schedule, step_generator, train

#: the decoder's output is multiplied by this while it learns
OUTPUT_GAIN = 0.1
#: of the posterior at the start: a standard deviation of 0.05
NARROW_LOG_VARIANCE = -6.0


def open_slabs(folder: Path, split_file: Path, prior: Prior, settings: dict) -> dict[str, SlabData | None]:
    """Slabs of the training and validation patients of a slice store; ``None`` for a split without patients."""
    store, split = SliceStore(folder), read_split(split_file)
    slab, data = slab_of(settings), {}
    for part in ("train", "val"):
        rows = store.rows(part)
        require_split(store.index["subject"][rows], split, (part,), f"generator {settings['name']}")
        data[part] = SlabData(store, prior, rows, slab) if len(rows) else None
    return data


def make_networks(settings: dict, device: torch.device, seed: int) -> MaisiNetworks:
    """Untrained networks; every stage starts from the same draws."""
    torch.manual_seed(seed)
    return MaisiNetworks(settings, flash=device.type == "cuda").to(device)


def save_stage(nets: MaisiNetworks, stage: str, folder: Path) -> None:
    """The network of one stage; the diffusion stage also keeps scale and spacing of the latents."""
    keep = {"autoencoder": ("autoencoder.",), "diffusion": ("diffusion.", "scale", "spacing")}[stage]
    weights = {k: v for k, v in nets.state_dict().items() if k.startswith(keep)}
    save_model(folder, weights, {"stage": stage})


def put_stage(nets: MaisiNetworks, folder: Path) -> None:
    """What :func:`save_stage` wrote.

    Raises:
        StateError: the stage is of other sizes.
    """
    weights, _ = load_model(folder)
    put_weights(nets, {**nets.state_dict(), **weights}, folder)


def fit_autoencoder(
    nets: MaisiNetworks,
    settings: dict,
    data: SlabData,
    validation: SlabData | None,
    seed: int,
    run: Run,
) -> None:
    """KL autoencoder on slabs in [0, 1]: L1 and a small weight on the divergence of the posterior from N(0, 1).

    It learns from pieces of slabs at random places in plane. Two measures make it learn in few steps. The posterior
    starts narrow, not as wide as the latents themselves. And while it learns the decoder's output is multiplied by
    :data:`OUTPUT_GAIN`, which its last convolution takes over at the end: a step of Adam would else move all voxels
    by hundreds of HU at once.
    """
    options, hu_range = settings["autoencoder"], settings["slab"]["hu_range"]
    device = nets.scale.device

    def loss(part: SlabData, which: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        hu = part.hu(which)
        if part is data:
            side = min(options["patch"], hu.shape[2])
            x, y = torch.randint(hu.shape[2] - side + 1, (2,), generator=generator).tolist()
            hu = hu[:, :, x : x + side, y : y + side]
        image = to_unit(hu, hu_range).to(device)
        mean, sigma = nets.autoencoder.encode(image)
        latent = mean + sigma * torch.randn(mean.shape, generator=generator).to(device)
        divergence = 0.5 * (mean**2 + sigma**2 - torch.log(sigma**2) - 1).sum() / len(image)
        decoded = OUTPUT_GAIN * nets.autoencoder.decode(latent)
        return functional.l1_loss(decoded, image) + options["kl_weight"] * divergence

    spread = nets.autoencoder.quant_conv_log_sigma.conv
    nn.init.zeros_(spread.weight)
    nn.init.constant_(spread.bias, NARROW_LOG_VARIANCE)
    _fit(nets.autoencoder, options, loss, data, validation, seed, run, "autoencoder")
    with torch.no_grad():
        for parameter in nets.autoencoder.decoder.blocks[-1].parameters():
            parameter.mul_(OUTPUT_GAIN)


def fit_diffusion(
    nets: MaisiNetworks,
    settings: dict,
    data: SlabData,
    validation: SlabData | None,
    seed: int,
    run: Run,
) -> None:
    """Rectified flow on latents without labels; first sets ``nets.scale`` from the training latents."""
    latents = encode(nets, settings, data)
    nets.scale.fill_(1 / latents.std())
    nets.spacing.copy_(torch.stack([data.spacing.mean(0), data.spacing.amin(0), data.spacing.amax(0)]))
    loss = _velocity_loss(nets, settings, {id(data): latents}, labels=False)
    _fit(nets.diffusion, settings["diffusion"], loss, data, validation, seed, run, "diffusion")


def fit_controlnet(
    nets: MaisiNetworks,
    settings: dict,
    data: SlabData,
    validation: SlabData | None,
    seed: int,
    run: Run,
) -> None:
    """ControlNet on the bit-planes of the label map; the diffusion network is frozen and its weights are the start."""
    from monai.networks.utils import copy_model_state

    nets.diffusion.requires_grad_(False)
    copy_model_state(nets.controlnet, nets.diffusion.state_dict())
    loss = _velocity_loss(nets, settings, {}, labels=True)
    _fit(nets.controlnet, settings["controlnet"], loss, data, validation, seed, run, "controlnet")


@torch.no_grad()
def encode(nets: MaisiNetworks, settings: dict, data: SlabData) -> torch.Tensor:
    """Posterior means [N, C, x, y, z] of all slabs, not scaled.

    One slab at a time in float32, wherever the caller stands: every stage and split gets the same latents.
    """
    device, slab = nets.scale.device, settings["slab"]
    one_by_one = torch.arange(len(data)).split(1)
    with memory_hint("maisi.slab.depth", slab["depth"]), torch.autocast(device.type, enabled=False):
        images = (to_unit(data.hu(which), slab["hu_range"]).to(device) for which in one_by_one)
        return torch.cat([nets.autoencoder.encode(image)[0] for image in images])


def _velocity_loss(nets: MaisiNetworks, settings: dict, latents: dict[int, torch.Tensor], labels: bool):
    """L1 on the velocity ``clean - noise`` at uniform times, the loss of the released rectified flow."""
    device = nets.scale.device

    def loss(part: SlabData, which: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if id(part) not in latents:
            latents[id(part)] = encode(nets, settings, part)
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
    net: nn.Module,
    options: dict,
    loss: Callable[[SlabData, torch.Tensor, torch.Generator], torch.Tensor],
    data: SlabData,
    validation: SlabData | None,
    seed: int,
    run: Run,
    name: str,
) -> None:
    batches = Batches(len(data), options["batch"], seed)
    with memory_hint(f"maisi.{name}.batch", options["batch"]):
        weights = train(
            net,
            lambda step: loss(data, batches.at(step), step_generator(seed, name, step)),
            Schedule(options["steps"], options["learning_rate"], cosine=True),
            run,
            batch=options["batch"],
            ema_decay=options["ema_decay"],
            validate=None if validation is None else lambda: _validation_loss(loss, validation, options["batch"], seed),
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
