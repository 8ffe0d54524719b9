"""Volumes: stretches of them go up side by side, and how many slices are made at once changes nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from pivm.cohort.prior import Prior
from pivm.generators.diffusion import along_z
from pivm.generators.diffusion import generator as module
from pivm.generators.kinds import kinds
from pivm.learning.device import sampling_precision

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


def sampling(settings, **changes):
    return dataclasses.replace(settings, sampler=dataclasses.replace(settings.sampler, **changes))


@pytest.mark.parametrize("sampler", ["dpm++", "ddim", "ddpm"])
@pytest.mark.parametrize("condition", [["labels", "prior", "previous"], ["labels", "prior"]], ids=["below", "alone"])
def test_slices_in_one_batch_are_those_made_one_by_one(monkeypatch, sampler, condition):
    maps = [np.random.default_rng(i).integers(0, 3, (n, 32, 32)).astype(np.uint8) for i, n in enumerate((7, 5))]
    generator, told = make(sampler, condition), []
    generator.on_slices = told.append
    volumes = {}
    monkeypatch.setattr(along_z, "STRETCH", 3)
    for at_once in (1, 6):
        monkeypatch.setattr(along_z, "AT_ONCE", at_once)
        volumes[at_once] = list(generator.generate_volumes(maps, [3, 4]))
    assert sum(told) == 2 * (7 + 5)
    for one_by_one, batched in zip(volumes[1], volumes[6], strict=True):
        assert one_by_one.std() > 5
        assert np.abs(one_by_one.astype(int) - batched).max() <= 1  # sums in another order, rounded to HU


@pytest.mark.parametrize("depths", [[1], [429], [70, 3, 40]])
@pytest.mark.parametrize("at_once", [1, 5, 16])
def test_every_slice_is_made_once_and_after_the_one_below(monkeypatch, depths, at_once):
    monkeypatch.setattr(along_z, "AT_ONCE", at_once)
    there, made = set(), []
    for slices, blind in along_z.batches(depths):
        assert 1 <= len(slices) <= at_once
        if not blind:
            assert all(z == 0 or (z - 1, i) in there for z, i in slices)
            made += slices
        there.update(slices)
    assert sorted(made) == [(z, i) for z in range(max(depths)) for i, depth in enumerate(depths) if z < depth]


def test_a_stretch_begins_on_a_first_version_of_the_slice_below(monkeypatch):
    maps = [np.random.default_rng(0).integers(0, 3, (6, 32, 32)).astype(np.uint8)]
    generator = make("dpm++", ["labels", "prior", "previous"])
    (whole,) = generator.generate_volumes(maps, [3])
    monkeypatch.setattr(along_z, "STRETCH", 3)
    (parts,) = generator.generate_volumes(maps, [3])
    assert np.abs(parts[:3].astype(int) - whole[:3]).max() <= 1
    assert (parts[3] != whole[3]).any()
    generator.settings = sampling(generator.settings, previous_from=0.0)
    (first,) = generator.generate_volumes(maps, [3])  # no slice is shown the one below
    shown = []
    encode = type(generator.signal).encode
    monkeypatch.setattr(type(generator.signal), "encode", lambda *a, **k: shown.append(a[1]) or encode(*a, **k))
    list(generator.generate_volumes(maps, [3]))
    assert (shown[0][1].int() - torch.from_numpy(first[2])).abs().max() <= 1


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_bf16_is_near_float32(guidance):
    maps = [np.random.default_rng(0).integers(0, 3, (6, 32, 32)).astype(np.uint8)]
    generator = make("dpm++", ["labels", "prior", "previous"])
    generator.settings = sampling(generator.settings, guidance=guidance)
    (exact,) = generator.generate_volumes(maps, [3])
    generator.sample_in_bf16()
    (rounded,) = generator.generate_volumes(maps, [3])
    apart = rounded.astype(float) - exact
    assert 0 < apart.std() < 0.05 * exact.std()


@pytest.mark.parametrize(
    ("native", "device", "found"), [(True, "cpu", "bf16"), (False, "cpu", "fp32"), (True, "cuda", "fp32")]
)
def test_bf16_is_taken_where_a_cpu_has_instructions_for_it(monkeypatch, native, device, found):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert sampling_precision("auto", torch.device(device)) == found
    assert sampling_precision("fp32", torch.device(device)) == "fp32"


def test_the_slice_below_counts_in_the_last_steps(monkeypatch):
    """Without the slice below the volume would be another one: the batches do not swallow the sweep."""
    maps = [np.random.default_rng(0).integers(0, 3, (6, 32, 32)).astype(np.uint8)]
    generator = make("dpm++", ["labels", "prior", "previous"])
    (shown,) = generator.generate_volumes(maps, [3])
    monkeypatch.setattr(module, "previous_channels", lambda signal, present: torch.zeros(len(signal), 2, 32, 32))
    (blind,) = generator.generate_volumes(maps, [3])
    np.testing.assert_array_equal(shown[0], blind[0])
    assert (shown[1:] != blind[1:]).mean() > 0.1
