"""Volumes sampled together against one after the other: python benchmarks/volumes.py [--volumes 8] [--slices 48]

The default network at 64 x 64 with random weights and the default sampler. The two ways are measured in turns in one
process; the ratio is that of their medians, in CPU seconds (on a GPU wall seconds).
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
import yaml
from common import ROOT, machine, made_up_prior, made_up_slices, report
from pivm.config import generator_settings
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.learning.device import prepare


def main(options: argparse.Namespace) -> None:
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    prepare(device, "auto")
    torch.manual_seed(0)
    prior = made_up_prior()
    settings = generator_settings(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")), "pivm")
    generator = DiffusionGenerator(settings, prior, device)
    maps = made_up_slices(options.volumes * options.slices, options.size, prior).arrays()[1]
    volumes = list(maps.reshape(options.volumes, options.slices, options.size, options.size))
    seeds = [1000 * i for i in range(len(volumes))]
    now = time.perf_counter if device.type == "cuda" else time.process_time

    def together() -> None:
        list(generator.generate_volumes(volumes, seeds))

    def in_turn() -> None:
        for volume, seed in zip(volumes, seeds, strict=True):
            list(generator.generate_volumes([volume], [seed]))

    list(generator.generate_volumes([volumes[0][:2]], seeds[:1]))  # imports the sampler, warms the device up
    seconds = {together: [], in_turn: []}
    for _ in range(options.repeats):
        for way, spent in seconds.items():
            began = now()
            way()
            spent.append(now() - began)
    one, other = (statistics.median(spent) for spent in seconds.values())
    report(
        {
            "volumes": options.volumes,
            "slices": options.slices,
            "together s": one,
            "one after the other s": other,
            "ratio": one / other,
            "bound": 0.25 if device.type == "cuda" else 0.8,
            "machine": machine(device),
        }
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--volumes", type=int, default=8)
    parser.add_argument("--slices", type=int, default=48)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    main(parser.parse_args())
