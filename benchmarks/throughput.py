"""Training and sampling throughput at 256 x 256, and the share of the machine that training reaches.

    python benchmarks/throughput.py [--device cuda|cpu] [--channels 128 192 256 384] [--blocks 2] [--compile]

The slices are made up, the loop is that of the workflow. Prints GMAC per network evaluation, the cost of a slice
against the authors' released network, slices per second, peak memory, the matrix-product ceiling measured on the spot,
the share of it that training reaches, and the operations that a training step spends most of its time on. Needs torch,
numpy and safetensors alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import RELEASED_EVALUATIONS, RELEASED_GMAC, late_medians, machine, made_up_prior, made_up_slices, report
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.settings import (
    DiffusionSettings,
    NetworkSettings,
    NoiseSettings,
    SamplerSettings,
    TrainingSettings,
)
from pivm.learning.device import autocast, low_precision, prepare
from pivm.learning.feed import Draws
from pivm.learning.loop import Run
from torch.autograd import DeviceType
from torch.utils.flop_counter import FlopCounterMode


def settings(options: argparse.Namespace, slices: int) -> DiffusionSettings:
    """The generator of configs/paper.yaml with the network of the command line."""
    return DiffusionSettings(
        name="pivm",
        kind="diffusion",
        target="variation",
        condition=("labels", "prior", "previous"),
        network=NetworkSettings(
            label_channels=16, channels=tuple(options.channels), blocks=options.blocks, detail_channels=24
        ),
        noise=NoiseSettings(scale="global"),
        sampler=SamplerSettings(steps=options.evaluations, reach=0.0, previous_from=1.0),
        training=TrainingSettings(
            batch=options.batch,
            epochs=-(-options.steps * options.batch // slices),
            optimizer="adamw",
            learning_rate=1e-4,
            halve_every_epochs=20,
            ema_decay=0.9999,
            noise_previous=0.0,
            model_previous=0.0,
        ),
    )


def flops(work) -> float:
    """Floating-point operations of matrix products, convolutions and attention; two per multiply-add."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def ceiling(device: torch.device, dtype: torch.dtype, size: int, seconds: float = 2.0) -> float:
    """Best rate of large matrix products in operations per second."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = _now(device)
        for _ in range(5):
            a @ b
        best = min(best, (_now(device) - began) / 5)
    return 2 * size**3 / best


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.no_grad()
def sampling_rate(generator: DiffusionGenerator, data, batch: int, evaluations: int, repeats: int) -> float:
    """Slices per second of so many network evaluations; the sampler's own arithmetic is not counted."""
    device, net = generator.device, generator.net.eval()
    hu, maps, *_ = (t.to(device) for t in data.batch(torch.arange(batch)))
    maps, z = maps.long(), torch.randn(batch, 1, *hu.shape[1:], device=device)
    prior, previous = generator.signal.prior_channel(maps), torch.zeros(batch, 2, *hu.shape[1:], device=device)
    times = []
    for _ in range(repeats + 1):
        began = _now(device)
        for i in range(evaluations):
            t = torch.full((batch,), 999 - 99 * (i % 10), device=device)
            with autocast(device, "auto"):
                z = z - 0.1 * net(z, t, maps, prior, previous).float()
        times.append(_now(device) - began)
    return batch / statistics.median(times[1:])


def costliest(step: Callable[[], None], device: torch.device, count: int = 3) -> tuple[list[str], int]:
    """The operations that take most of a training step, with their share of it, and the calls of all of them.

    On a GPU an operation is a kernel and its time the device's; on a CPU both are those of torch's operators.
    """
    cuda = device.type == "cuda"
    step()
    activities = [torch.profiler.ProfilerActivity.CPU, *([torch.profiler.ProfilerActivity.CUDA] if cuda else [])]
    with torch.profiler.profile(activities=activities) as profile:
        step()
        _now(device)
    own = "self_device_time_total" if cuda else "self_cpu_time_total"
    events = [event for event in profile.key_averages() if getattr(event, own) > 0]
    if cuda:  # what the host calls is counted with the kernels that it starts
        events = [event for event in events if event.device_type == DeviceType.CUDA]
    whole = sum(getattr(event, own) for event in events)
    events.sort(key=lambda event: -getattr(event, own))
    top = [f"{event.key[:60]} {100 * getattr(event, own) / whole:.0f} %" for event in events[:count]]
    return top, sum(event.count for event in events)


def main(options: argparse.Namespace) -> None:
    device = torch.device(options.device)
    prepare(device, "auto")
    torch.manual_seed(0)
    prior = made_up_prior()
    data = made_up_slices(options.slices, options.size, prior)
    generator = DiffusionGenerator(settings(options, options.slices), prior, device)
    training = generator.settings.training

    def one_step(batch: int) -> torch.Tensor:
        slices = tuple(t.to(device) for t in data.batch(torch.arange(batch)))
        with autocast(device, "auto" if batch > 1 else "fp32"):
            return generator._loss(slices, Draws(batch, slice(None), device, 0), training)

    forward = flops(lambda: one_step(1).detach())
    both = flops(lambda: one_step(1).backward())
    generator.net.zero_grad(set_to_none=True)
    top, calls = costliest(lambda: one_step(options.batch).backward(), device)
    generator.net.zero_grad(set_to_none=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "losses.csv", compile=options.compile)
        generator.fit(data, None, 1, run)
        stats = late_medians(run.losses)
    dtype = low_precision("auto", device) or torch.float32
    limit = ceiling(device, dtype, 8192 if device.type == "cuda" else 1024)
    gmac = forward / 2e9
    cost = gmac * options.evaluations / (RELEASED_GMAC * RELEASED_EVALUATIONS)
    report(
        {
            "network": f"{options.channels} x {options.blocks}",
            "parameters (M)": sum(p.numel() for p in generator.net.parameters()) / 1e6,
            "size": options.size,
            "GMAC per evaluation": gmac,
            "cost per slice against released": f"1/{1 / cost:.0f}" if options.size == 256 else "-",
            "batch": options.batch,
            "compiled": options.compile,
            "training slices/s": stats["samples_per_second"],
            "step (ms)": 1000 * stats["step_seconds"],
            "memory (MiB)": stats["memory_mib"],
            "GPU memory (MiB)": stats["gpu_memory_mib"],
            "training TFLOP/s": both * stats["samples_per_second"] / 1e12,
            f"{str(dtype).removeprefix('torch.')} matmul ceiling (TFLOP/s)": limit / 1e12,
            "share of ceiling": both * stats["samples_per_second"] / limit,
            "sampling slices/s": sampling_rate(generator, data, options.batch, options.evaluations, 3),
            "evaluations": options.evaluations,
            "calls of a forward and a backward pass": calls,
            "costliest": "; ".join(top),
            "machine": machine(device),
        }
    )


if __name__ == "__main__":
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if gpu else "cpu")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--channels", type=int, nargs="+", default=[128, 192, 256, 384])
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32 if gpu else 2)
    parser.add_argument("--steps", type=int, default=400 if gpu else 6)
    parser.add_argument("--slices", type=int, default=256 if gpu else 8)
    parser.add_argument("--evaluations", type=int, default=10)
    parser.add_argument("--compile", action="store_true")
    main(parser.parse_args())
