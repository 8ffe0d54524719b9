"""What a CUDA graph of Muon's products saves of a training step of the default's networks at 64 x 64.

    python benchmarks/muon_graphs.py [--device cuda|cpu] [--steps 300] [--pairs 2]

Slices are made up, the loop is that of the workflow, and the passes of the networks are CUDA graphs in both forms.
Prints milliseconds a step (median of the second half of a training) in each form and their ratio, in turns. On a CPU
there are no graphs, so that the ratio is 1.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from common import late_medians, made_up_prior, made_up_slices, report
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.settings import DiffusionSettings, TrainingSettings
from pivm.learning import loop
from pivm.learning.device import prepare
from pivm.learning.loop import Run
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.settings import SegmenterSettings
from pivm.segmentation.training_set import Part, TrainingSlices

SLICES, BATCH = 360, 4


def segmenter(device: torch.device, steps: int) -> Callable[[Run], None]:
    """A training of the segmenter with its light augmentation."""
    rng = np.random.default_rng(0)
    hu = rng.integers(-200, 300, (SLICES, 64, 64), np.int16)
    part = Part(hu, rng.integers(0, 34, hu.shape).astype(np.uint8))
    made = Segmenter(SegmenterSettings(steps=steps, batch=BATCH), 35, device)
    return functools.partial(made.fit, TrainingSlices([part]), 1)


def pivm(device: torch.device, steps: int) -> Callable[[Run], None]:
    """A training of PIVM without validation."""
    training = TrainingSettings(batch=BATCH, epochs=max(1, steps * BATCH // SLICES))
    settings = DiffusionSettings(
        name="pivm", kind="diffusion", target="variation", condition=("labels", "prior"), training=training
    )
    prior = made_up_prior()
    made = DiffusionGenerator(settings, prior, device)
    return functools.partial(made.fit, made_up_slices(SLICES, 64, prior), None, 1)


def milliseconds(fit: Callable[[Run], None], graphs: bool) -> float:
    """Of a step, with Muon's products as a graph or kernel by kernel."""
    make = loop.make_optimizers

    def made(*args):
        return make(*args[:-1], args[-1] and graphs)

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(loop, "make_optimizers", made):
        run = Run(Path(folder) / "losses.csv")
        fit(run)
        return 1000 * late_medians(run.losses)["step_seconds"]


def main(options: argparse.Namespace) -> None:
    device = torch.device(options.device)
    prepare(device, "auto")
    for training in (segmenter, pivm):
        for _ in range(options.pairs):
            graph, kernels = (milliseconds(training(device, options.steps), graphs) for graphs in (True, False))
            report(
                {"training": training.__name__, "graph, ms": graph, "kernels, ms": kernels, "ratio": graph / kernels}
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=2)
    main(parser.parse_args())
