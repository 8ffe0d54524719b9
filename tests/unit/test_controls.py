"""The generators without training: moments by hand, draws that have them, files that hold them."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pivm.cohort.prior import Prior
from pivm.errors import StateError
from pivm.generators.controls.gaussian import GaussianOrgans, label_moments
from pivm.generators.controls.prior_map import PriorMap
from pivm.generators.kinds import GeneratorSettings, kinds
from pivm.generators.model_folder import FORMAT, ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import read_sampler, write_sampler
from pivm.learning.loop import Run
from pivm.learning.model_files import save_model
from pivm.settings import plain

MADE = {"code": "0" * 16, "versions": {"torch": "2.13.0"}}
PRIOR = Prior(
    "body", ("a",), ("a",), (-1000.0, 50.0, 20.0), (9, 9, 9), 60.0, (5.0, 20.0, 30.0), 0.0, 100.0, (-1024, 300)
)
CPU = torch.device("cpu")
TRAINED_ON = TrainedOn(("p",), 1, 16, {})


def training(hu: np.ndarray, label_map: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(arrays=lambda: (hu, label_map))


def test_moments_of_two_flat_slices_by_hand():
    hu = np.stack([np.full((4, 4), 40), np.full((4, 4), 60)]).astype(np.int16)
    moments = label_moments(hu, np.ones((2, 4, 4), np.uint8), 3)
    assert moments["mean"].tolist() == [0, 50, 0]
    assert moments["between"].tolist() == [0, 10, 0]
    assert moments["within"].tolist() == [0, 0, 0]


def test_moments_of_a_checkerboard_show_no_smoothness():
    board = np.where(np.indices((6, 6)).sum(0) % 2, 70, 30).astype(np.int16)[None]
    moments = label_moments(board, np.zeros((1, 6, 6), np.uint8), 1)
    assert moments["mean"][0] == 50
    assert moments["within"][0] == 20
    assert moments["blur"][0] == 0


@pytest.mark.parametrize("blur", [0.0, 0.8, 1.6])
def test_draws_have_the_moments_they_were_fitted_to(blur, tmp_path):
    """Fit to draws of known moments, and draw again: mean, spreads and blur come back."""
    generator = GaussianOrgans(GeneratorSettings(name="g", kind="gaussian"), PRIOR, CPU)
    generator.moments = {
        "mean": np.array([-1000.0, 60.0, 0.0]),
        "between": np.array([0.0, 15.0, 0.0]),
        "within": np.array([1.0, 25.0, 0.0]),
        "blur": np.array([0.0, blur, 0.0]),
    }
    maps = np.ones((80, 32, 32), np.uint8)
    maps[:, :4] = 0
    hu = generator.generate(maps, list(range(80)))
    again = GaussianOrgans(GeneratorSettings(name="g", kind="gaussian"), PRIOR, CPU)
    again.fit(training(hu, maps), None, 0, Run(tmp_path / "losses.csv"))
    assert again.moments["mean"][1] == pytest.approx(60, abs=6)
    assert again.moments["between"][1] == pytest.approx(15, rel=0.3)
    assert again.moments["within"][1] == pytest.approx(25, rel=0.1)
    assert again.moments["blur"][1] == pytest.approx(blur, abs=0.15)
    assert again.moments["mean"][0] == pytest.approx(-1000, abs=1)


def test_a_slice_depends_on_its_own_seed_alone():
    generator = GaussianOrgans(GeneratorSettings(name="g", kind="gaussian"), PRIOR, CPU)
    generator.moments = {name: np.full(3, 9.0) for name in GaussianOrgans.NAMES}
    generator.moments["blur"] = np.full(3, 0.5)
    maps = np.random.default_rng(0).integers(0, 3, (3, 16, 16)).astype(np.uint8)
    together = generator.generate(maps, [5, 6, 7])
    assert np.array_equal(together[1:2], generator.generate(maps[1:2], [6]))
    assert not np.array_equal(together[1:2], generator.generate(maps[1:2], [8]))


def test_a_volume_keeps_one_mean_per_organ():
    generator = GaussianOrgans(GeneratorSettings(name="g", kind="gaussian"), PRIOR, CPU)
    generator.moments = {
        "mean": np.array([-1000.0, 60.0, 0.0]),
        "between": np.array([0.0, 40.0, 0.0]),
        "within": np.zeros(3),
        "blur": np.zeros(3),
    }
    (volume,) = generator.generate_volumes([np.ones((5, 8, 8), np.uint8)], [3])
    assert len(np.unique(volume)) == 1


def test_the_prior_map_is_the_mean_of_each_label(tmp_path):
    generator = PriorMap(GeneratorSettings(name="p", kind="prior_map"), PRIOR, CPU)
    generator.fit(None, None, 0, Run(tmp_path / "losses.csv"))
    maps = np.array([[[0, 1], [2, 2]]], np.uint8)
    assert generator.generate(maps, [1]).tolist() == [[[-1000, 50], [20, 20]]]
    assert next(iter(generator.generate_volumes([maps], [1]))).tolist() == [[[-1000, 50], [20, 20]]]
    with open(tmp_path / "losses.csv") as stream:
        assert list(csv.reader(stream)) == [["step", "learning_rate", "loss", "validation_loss", "gradient_norm"]]


@pytest.mark.parametrize("kind", ["prior_map", "gaussian"])
def test_a_saved_control_gives_the_same_slices(kind, tmp_path):
    rng = np.random.default_rng(1)
    maps = rng.integers(0, 3, (4, 16, 16)).astype(np.uint8)
    hu = rng.integers(-100, 200, (4, 16, 16)).astype(np.int16)
    generator = kinds()[kind].load()(GeneratorSettings(name=kind, kind=kind), PRIOR, CPU)
    generator.fit(training(hu, maps), None, 0, Run(tmp_path / "losses.csv"))
    save_generator(generator, tmp_path, TRAINED_ON, MADE)
    write_sampler(tmp_path, {})
    again = ModelFolder.open(tmp_path).load(CPU)
    assert type(again) is (PriorMap if kind == "prior_map" else GaussianOrgans)
    assert np.array_equal(generator.generate(maps, [1, 2, 3, 4]), again.generate(maps, [1, 2, 3, 4]))


def test_moments_of_another_label_set_are_refused(tmp_path):
    weights = {name: torch.zeros(7) for name in GaussianOrgans.NAMES}
    settings = {"kind": "gaussian", "name": "g"}
    facts = {"settings": settings, "format": FORMAT, "organs": PRIOR.organs, "made": MADE, **asdict(TRAINED_ON)}
    save_model(tmp_path, weights, facts)
    write_sampler(tmp_path, {})
    PRIOR.save(tmp_path / "prior.json")
    with pytest.raises(StateError, match=r"weight 'between' has shape \(7,\), the network wants \(3,\)"):
        ModelFolder.open(tmp_path).load(CPU)


def test_a_folder_of_something_else_is_no_generator(tmp_path):
    save_model(tmp_path, {"x": torch.zeros(1)}, {"classes": 3})
    with pytest.raises(StateError, match=r"no generator: config: settings\.kind: found None"):
        ModelFolder.open(tmp_path)


def test_another_label_set_size_or_version_is_refused(tmp_path):
    generator = PriorMap(GeneratorSettings(name="p", kind="prior_map"), PRIOR, CPU)
    save_generator(generator, tmp_path, TRAINED_ON, MADE)
    write_sampler(tmp_path, {})
    ModelFolder.open(tmp_path).require_fit(("a",), 16)
    with pytest.raises(StateError, match="trained on slices of 16 x 16 pixels, asked for 64 x 64"):
        ModelFolder.open(tmp_path).require_fit(("a",), 64)
    with pytest.raises(StateError, match="it lacks liver and has a besides"):
        ModelFolder.open(tmp_path).require_fit(("liver",), 16)
    (tmp_path / "model.json").write_text(
        (tmp_path / "model.json").read_text().replace(f'"format": {FORMAT}', '"format": 2')
    )
    with pytest.raises(StateError, match=f"format 2, this version reads format {FORMAT}: train the generator again"):
        ModelFolder.open(tmp_path)


def sampler(**changes) -> str:
    values = {"name": "dpm++", "steps": 4, "spacing": 0.6, "organ_spread": 1, "guidance": 1, "reach": 0.5}
    values |= {"previous_from": 0.6, "prior_draw": "drawn"}
    return json.dumps({**values, **changes})


def test_a_sampler_may_hold_whole_numbers_for_others(tmp_path):
    (tmp_path / "sampler.json").write_text(sampler(reach=0))
    assert plain(read_sampler(tmp_path, kinds()["diffusion"])) == json.loads(sampler(reach=0))


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("diffusion", None, r"not a complete model .*sampler.json holds: name, steps, spacing, organ_spread, guidance"),
        ("prior_map", None, r"not a complete model .*sampler.json holds: nothing, as {}"),
        ("diffusion", '{"name": "ddim", "ste', "not a complete model"),
        (
            "diffusion",
            '{"steps": 3}',
            r"found steps, expected name, steps, .*previous_from, prior_draw for",
        ),
        ("diffusion", "[3]", "found list, expected name, steps"),
        ("gaussian", '{"steps": 3}', "found steps, expected no key for kind gaussian"),
        ("diffusion", sampler(name="dpm"), r"found 'dpm' \(did you mean 'd.*expected one of dpm\+\+"),
        ("maisi", '{"batch": 0, "steps": 3}', "batch: found 0, expected a whole number from 1 on"),
        ("maisi", '{"batch": 1, "steps": true}', "steps: found True, expected a whole number 1 to 1000"),
        ("diffusion", sampler(steps=2.0), "steps: found 2.0, expected a whole number"),
        ("diffusion", sampler(guidance=0.5), "guidance: found 0.5, expected a number 1 to 100"),
        ("diffusion", sampler(previous_from=1.5), "previous_from: found 1.5, expected a number 0 to 1"),
    ],
)
def test_a_sampler_that_cannot_be_used_says_why(tmp_path, kind, content, message):
    if content is not None:
        (tmp_path / "sampler.json").write_text(content)
    with pytest.raises(StateError, match=message):
        read_sampler(tmp_path, kinds()[kind])
