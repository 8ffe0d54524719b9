"""Volumes: the steps that are not shown the slice below are taken for many slices at once, and change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pivm.cohort.prior import Prior
from pivm.generators.diffusion import along_z
from pivm.generators.diffusion import generator as module
from pivm.generators.kinds import kinds

PRIOR = Prior(
    "body", ("liver",), ("liver",), (-1000.0, 60.0, -100.0), (9,) * 3, 60.0, (9.0,) * 3, 0.0, 99.0, (-1024, 300)
)
SHARED = {
    "network": {"label_channels": 4, "channels": [16, 24], "blocks": 1, "attention": True, "detail_channels": 16},
    "noise": {"steps": 100, "prediction": "v", "zero_terminal_snr": True, "shift": 1.0, "scale": "global"},
}


def make(sampler: str, condition: list[str]):
    settings = kinds()["diffusion"].resolve(
        "pivm",
        {"kind": "diffusion", "target": "variation", "condition": condition},
        {**SHARED, "sampler": {"name": sampler, "steps": 5, "reach": 0.5, "previous_from": 0.6}},
    )
    generator = kinds()["diffusion"].load()(settings, PRIOR, torch.device("cpu"))
    torch.manual_seed(0)
    for parameter in generator.net.parameters():  # a fresh network predicts nothing
        torch.nn.init.normal_(parameter, std=0.1)
    return generator


@pytest.mark.parametrize("sampler", ["dpm++", "ddim", "ddpm"])
@pytest.mark.parametrize("condition", [["labels", "prior", "previous"], ["labels", "prior"]], ids=["below", "alone"])
def test_slices_in_one_batch_are_those_made_one_by_one(monkeypatch, sampler, condition):
    maps = [np.random.default_rng(i).integers(0, 3, (n, 32, 32)).astype(np.uint8) for i, n in enumerate((7, 5))]
    generator, told = make(sampler, condition), []
    generator.on_slices = told.append
    volumes = {}
    for ahead in (1, 6):
        monkeypatch.setattr(along_z, "AHEAD", ahead)
        volumes[ahead] = list(generator.generate_volumes(maps, [3, 4]))
    assert sum(told) == 2 * (7 + 5)
    for one_by_one, batched in zip(volumes[1], volumes[6], strict=True):
        assert one_by_one.std() > 5
        assert np.abs(one_by_one.astype(int) - batched).max() <= 1  # sums in another order, rounded to HU


def test_the_slice_below_counts_in_the_last_steps(monkeypatch):
    """Without the slice below the volume would be another one: the batches do not swallow the sweep."""
    maps = [np.random.default_rng(0).integers(0, 3, (6, 32, 32)).astype(np.uint8)]
    generator = make("dpm++", ["labels", "prior", "previous"])
    (shown,) = generator.generate_volumes(maps, [3])
    monkeypatch.setattr(module, "previous_channels", lambda signal, present: torch.zeros(len(signal), 2, 32, 32))
    (blind,) = generator.generate_volumes(maps, [3])
    np.testing.assert_array_equal(shown[0], blind[0])
    assert (shown[1:] != blind[1:]).mean() > 0.1
