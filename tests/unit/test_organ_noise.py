"""Noise that the pixels of an organ share: its moments, what it does to few steps, that all places draw it alike."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from pivm.errors import ConfigError
from pivm.generators.diffusion.along_z import start_noise
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.noise import NoiseProcess, organ_noise
from pivm.generators.diffusion.sampler import make_scheduler, sample
from pivm.generators.diffusion.settings import DiffusionSettings, NoiseSettings, check
from pivm.generators.model_folder import ModelFolder, TrainedOn, save_generator
from pivm.generators.organ_moments import LARGEST_COMMON, OrganMoments
from pivm.generators.sampler_file import write_sampler
from pivm.learning.loop import Resume, Run
from pivm.settings import plain, read_settings

from tests.unit.test_patient_prior import MADE, PRIOR, data

CPU = torch.device("cpu")
MAPS = np.random.default_rng(0).integers(0, 4, (4, 16, 16)).astype(np.uint8)


def settings(share=0.4, **changes) -> DiffusionSettings:
    values = {
        "name": "pivm",
        "kind": "diffusion",
        "target": "variation",
        "condition": ["labels", "prior", "previous"],
        "network": {"label_channels": 4, "channels": [16, 24], "detail_channels": 16},
        "noise": {"organ_share": share},
        "sampler": {"steps": 3},
        "training": {"batch": 4, "epochs": 2, "model_previous": 1.0, "drop_previous": 0.0},
    }
    return read_settings(DiffusionSettings, {**values, **changes}, "test")


def untrained(share=0.4) -> DiffusionGenerator:
    """Half of the noise of every label is common, where the settings ask for any."""
    torch.manual_seed(0)
    generator = DiffusionGenerator(settings(share), PRIOR, CPU)
    if generator.shares is not None:
        generator.shares += 0.5
    return generator


def shares_of(generator) -> torch.Tensor:
    assert isinstance(generator, DiffusionGenerator)
    assert generator.shares is not None
    return generator.shares


@pytest.mark.parametrize("share", [0.0, 0.25, 0.9])
def test_the_noise_has_unit_variance_and_an_organ_its_share_in_common(share):
    rng = torch.Generator().manual_seed(0)
    maps = torch.arange(2).repeat_interleave(8).expand(4000, 4, 16)
    white, common = torch.randn(4000, 1, 4, 16, generator=rng), torch.randn(4000, 2, generator=rng)
    noise = organ_noise(white, common, maps, torch.tensor([share, 0.5]))[:, 0]
    left, right = noise[:, :, :8].flatten(1), noise[:, :, 8:].flatten(1)
    assert (float(left.var()), float(right.var())) == pytest.approx((1, 1), abs=0.04)
    assert float((right[:, 0] * right[:, 9]).mean()) == pytest.approx(0.5, abs=0.06)
    assert float((left[:, 0] * left[:, 9]).mean()) == pytest.approx(share, abs=0.06)
    assert float((left[:, 0] * right[:, 0]).mean()) == pytest.approx(0, abs=0.06)
    assert float(left.mean(1).var()) == pytest.approx(share + (1 - share) / 32, abs=0.05)


def spread_of_means(share: float) -> tuple[float, float]:
    """Spread of an organ's mean, and inside it, that five steps of a perfect network give to its 256 pixels."""
    process, between, inside = NoiseProcess(1000, True), 0.9, 0.45

    def predict(z, t):
        a, b = (x[t][:, None, None, None] for x in (process.signal, process.noise))
        mean = z.mean((2, 3), keepdim=True)
        of_mean, of_rest = between**2 + inside**2 / 256, inside**2
        noise_of_mean, noise_of_rest = share + (1 - share) / 256, 1 - share
        clean = a * of_mean / (a**2 * of_mean + b**2 * noise_of_mean) * mean
        clean = clean + a * of_rest / (a**2 * of_rest + b**2 * noise_of_rest) * (z - mean)
        return a * (z - a * clean) / b.clamp_min(1e-4) - b * clean

    rng = torch.Generator().manual_seed(0)
    maps, shares = torch.zeros(256, 16, 16, dtype=torch.long), torch.tensor([share])
    start = organ_noise(torch.randn(256, 1, 16, 16, generator=rng), torch.randn(256, 1, generator=rng), maps, shares)
    made = sample(predict, start, make_scheduler("dpm++", NoiseSettings()), 5, rng)
    means = made.mean((2, 3), keepdim=True)
    return float(means.std()), float((made - means).std())


def test_few_steps_give_organ_means_their_spread_where_organs_share_noise():
    """The network is perfect, so what is lacking is lost by the steps alone."""
    (white, inside_white), (shared, inside_shared) = spread_of_means(0.0), spread_of_means(0.25)
    assert white < 0.3 * 0.9
    assert 0.7 * 0.9 < shared < 1.05 * 0.9
    assert inside_shared >= inside_white


def test_training_draws_it_wherever_it_adds_noise(tmp_path, monkeypatch):
    drawn = []
    original = DiffusionGenerator._draw_noise
    monkeypatch.setattr(OrganMoments, "common", lambda self, means: np.full(4, 0.99))

    def spy(self, draws, label_map):
        drawn.append(original(self, draws, label_map))
        for noise, ids in zip(drawn[-1][:, 0], label_map, strict=True):
            assert max(float(noise[ids == k].var(correction=0)) for k in ids.unique()) < 0.03  # alike in an organ
        return drawn[-1]

    monkeypatch.setattr(DiffusionGenerator, "_draw_noise", spy)
    generator = untrained(1.0)
    generator.fit(data(), None, 7, Run(tmp_path / "losses.csv", Resume(None)))
    steps = 2 * -(-len(data()) // 4)
    assert len(drawn) == 2 * steps  # of the slice, and of the one below
    assert float(torch.cat([one.flatten() for one in drawn]).var()) == pytest.approx(1, abs=0.35)


def moments(between: float, within: float, pixels: int, scans: int = 400) -> OrganMoments:
    rng = np.random.default_rng(0)
    hu = 60 + between * rng.normal(size=(scans, 1, 1)) + within * rng.normal(size=(scans, 1, pixels))
    return OrganMoments.of(
        hu.round().astype(np.int16), np.ones((scans, 1, pixels), int), np.arange(scans), scans, PRIOR
    )


@pytest.mark.parametrize("pixels", [4, 200])
@pytest.mark.parametrize(("between", "within"), [(40, 40), (0, 40), (20, 40), (400, 10)])
def test_the_share_is_the_variance_between_scans(between, within, pixels):
    found = moments(between, within, pixels).common()
    wanted = min(between**2 / (between**2 + within**2), LARGEST_COMMON)
    assert found[1] == pytest.approx(wanted, abs=0.05)
    assert found[[0, 2, 3]].tolist() == [0, 0, 0]  # labels that nobody has
    assert moments(between, within, pixels, scans=1).common()[1] == 0


@pytest.mark.parametrize("scans", [2, 4, 8])
def test_variances_behind_the_share_do_not_shrink_with_the_scans(scans):
    """The ratio of two unbiased variances is what few scans give on average, however unequal their sizes."""
    rng, ratios = np.random.default_rng(1), []
    for _ in range(600):
        pixels = rng.integers(20, 200, scans)
        hu = np.concatenate([60 + 30 * rng.normal() + 20 * rng.normal(size=n) for n in pixels])
        scan = np.repeat(np.arange(scans), pixels)
        hu, scan = hu.round().astype(np.int16)[:, None, None], scan
        ratios.append(OrganMoments.of(hu, np.ones(hu.shape, int), scan, scans, PRIOR).common()[1])
    odds = np.asarray(ratios) / (1 - np.asarray(ratios))
    assert np.mean(odds) == pytest.approx(30**2 / 20**2, rel=0.2)


def test_what_is_subtracted_of_each_scan_is_no_common_variance():
    some = moments(40, 20, 200, scans=8)
    own = some.plain / np.maximum(some.pixels, 1)
    assert some.common()[1] > 0.5
    assert some.common(own)[1] == 0
    np.testing.assert_allclose(some.common(np.full_like(own, 17.0)), some.common())


def test_shares_travel_with_the_model(tmp_path):
    generator = untrained(0.5)
    generator.fit(data(), None, 7, Run(tmp_path / "losses.csv", Resume(None)))
    wanted = 0.5 * OrganMoments.of_data(data()).common()
    np.testing.assert_allclose(shares_of(generator), wanted, rtol=1e-6)
    save_generator(generator, tmp_path / "model", TrainedOn(("p",), 1, 16, {}), MADE)
    write_sampler(tmp_path / "model", plain(generator.settings.sampler))
    loaded = ModelFolder.open(tmp_path / "model").load(CPU)
    assert torch.equal(shares_of(loaded), shares_of(generator))
    np.testing.assert_array_equal(loaded.generate(MAPS, [1, 2, 3, 4]), generator.generate(MAPS, [1, 2, 3, 4]))


def test_without_a_share_nothing_is_drawn_for_it(tmp_path):
    weights = []
    for share in (0.0, 0.4):
        generator = untrained(share)
        generator.fit(data(), None, 7, Run(tmp_path / "losses.csv", Resume(None)))
        weights.append(generator.weights())
    assert not all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert torch.equal(
        untrained(0.0)._start(start_noise(MAPS, [1, 2, 3, 4]), MAPS, [1] * 4), start_noise(MAPS, [1, 2, 3, 4])
    )


def test_slices_of_a_patient_share_what_its_organs_share():
    generator = untrained()
    zero = torch.zeros(4, 1, 16, 16)
    start = generator._start(zero, MAPS, [5, 5, 6, 6])[:, 0].numpy()
    for k in range(4):
        (one,), (other,) = (np.unique(start[rows][MAPS[rows] == k]) for rows in (slice(2), slice(2, 4)))
        assert one != other
    together = generator.generate(MAPS, [1, 2, 3, 4], [5, 5, 6, 6])
    np.testing.assert_array_equal(together[1:2], generator.generate(MAPS[1:2], [2], [5]))


def test_what_organs_share_grows_with_their_spread_and_the_rest_does_not():
    generator, starts = untrained(), {}
    white = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    for spread in (0.0, 1.0, 2.5):
        sampler = dataclasses.replace(generator.settings.sampler, organ_spread=spread)
        generator.settings = dataclasses.replace(generator.settings, sampler=sampler)
        starts[spread] = generator._start(white, MAPS, [5, 5, 6, 6])
    torch.testing.assert_close(starts[0.0], white / 2**0.5)
    torch.testing.assert_close(starts[2.5] - starts[0.0], 2.5 * (starts[1.0] - starts[0.0]))


def test_the_loss_of_a_slice_depends_on_the_slice_alone():
    generator = untrained()
    torch.nn.init.normal_(generator.net.head.weight, std=0.1)
    hu = np.random.default_rng(1).integers(-100, 200, MAPS.shape).astype(np.int16)
    whole = generator.denoising_losses(hu, MAPS, 0.5, 3)
    alone = [generator.denoising_losses(hu[i : i + 1], MAPS[i : i + 1], 0.5, 3)[0] for i in range(4)]
    np.testing.assert_allclose(whole, alone, rtol=1e-5)


def test_a_model_of_an_earlier_version_has_white_noise(tmp_path):
    generator = untrained(0.0)
    save_generator(generator, tmp_path, TrainedOn(("p",), 1, 16, {}), MADE)
    facts = json.loads((tmp_path / "model.json").read_text())
    del facts["settings"]["noise"]["organ_share"]
    (tmp_path / "model.json").write_text(json.dumps(facts))
    write_sampler(tmp_path, {**plain(generator.settings.sampler), "name": "ddpm"})  # which goes with white noise alone
    opened = ModelFolder.open(tmp_path)
    assert opened.settings.noise.organ_share == 0
    loaded = opened.load(CPU)
    assert isinstance(loaded, DiffusionGenerator)
    assert loaded.shares is None


def test_ddpm_which_adds_white_noise_is_refused():
    with pytest.raises(ConfigError, match=r"sampler\.name: found 'ddpm', which adds white noise"):
        check(settings(sampler={"name": "ddpm", "steps": 3}), 16)
    check(settings(0.0, sampler={"name": "ddpm", "steps": 3}), 16)
