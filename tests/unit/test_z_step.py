"""Volumes of labels whose slices lie nearer or farther apart than those of the training."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.prior import Prior
from pivm.errors import StateError
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.settings import DiffusionSettings, NetworkSettings, SamplerSettings
from pivm.generators.fitting import trained_on
from pivm.generators.model_folder import BelowMm, ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.settings import plain
from pivm.synthesis.inference import generate_ct
from pivm.synthesis.z_step import ALIKE, generate_volumes, plan_stacks

LEARNT = BelowMm(5.0, 4.0, 6.0)
PRIOR = Prior(
    "body", ("a",), ("a",), (-1000.0, 50.0, 20.0), (9, 9, 9), 60.0, (5.0, 20.0, 30.0), 0.0, 100.0, (-1024, 300)
)


class Recorder:
    """A generator whose slices say what each was made from: 100 x its label map + that of the slice below."""

    def __init__(self, sees_below: bool = True):
        self.sees_below, self.steps, self.seeds = sees_below, [], []

    def generate_volumes(self, label_maps, seeds, spacings_mm):
        self.steps += [mm[2] for mm in spacings_mm]
        self.seeds += list(seeds)
        for label_map in label_maps:
            below = np.concatenate([label_map[:1] * 0, label_map[:-1]])
            yield (100 * label_map.astype(np.int16) + below).astype(np.int16)


def numbered(count: int) -> np.ndarray:
    """Slice k holds k + 1 in every pixel."""
    return np.broadcast_to(np.arange(1, count + 1, dtype=np.uint8)[:, None, None], (count, 2, 2))


def made(count: int, step_mm: float, generator=None, learnt: BelowMm | None = LEARNT):
    (volume,) = generate_volumes(
        generator or Recorder(), learnt, ["p"], [numbered(count)], [7], [(1.5, 1.5, float(step_mm))]
    )
    assert volume.shape == (count, 2, 2)
    return [divmod(int(value), 100) for value in volume[:, 0, 0]]


@given(count=st.integers(2, 40), step_mm=st.floats(0.2, 20), median=st.floats(0.5, 12), spread=st.floats(0, 0.5))
def test_every_slice_gets_its_own_labels_and_the_step_is_about_the_learnt_one(count, step_mm, median, spread):
    learnt = BelowMm(median, median * (1 - spread), median * (1 + spread))
    recorder = Recorder()
    slices = made(count, step_mm, recorder, learnt)
    assert [own - 1 for own, _ in slices] == list(range(count))
    for used in recorder.steps:
        assert learnt.low / ALIKE <= used * (1 + 1e-9)
        assert used * (1 - 1e-9) <= learnt.high * ALIKE
    assert set(recorder.seeds) == {7}


def test_slices_that_lie_nearer_are_made_from_the_one_at_the_learnt_distance():
    assert made(6, 1.25) == [(1, 0), (2, 0), (3, 0), (4, 1), (5, 2), (6, 3)]  # 3 slices below are 3.75 mm


def test_slices_that_lie_farther_are_made_from_one_between_them():
    """Of 20 mm, two lie between two; the one right below has the labels of the nearer, which are the slice's own."""
    recorder = Recorder()
    assert made(3, 20, recorder) == [(1, 0), (2, 2), (3, 3)]
    assert recorder.steps == [pytest.approx(20 / 3)]


@pytest.mark.parametrize("step_mm", [4.0 / ALIKE, 3, 4, 5, 6, 6.0 * ALIKE])
def test_a_distance_like_those_of_the_training_is_left_alone(step_mm, caplog):
    recorder = Recorder()
    assert made(4, step_mm, recorder) == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert recorder.steps == [step_mm]
    assert not caplog.records


@pytest.mark.parametrize(("generator", "learnt"), [(Recorder(sees_below=False), LEARNT), (Recorder(), None)])
def test_what_is_not_shown_the_slice_below_or_comes_with_released_weights_takes_any_distance(generator, learnt, caplog):
    assert [own for own, _ in made(3, 0.5, generator, learnt)] == [1, 2, 3]
    assert generator.steps == [0.5]
    assert not caplog.records


@pytest.mark.parametrize(
    ("step_mm", "factor", "how"),
    [
        (1.0, 4, "they are made in 4 stacks, each slice from the one 4 mm below"),
        (18.0, 3, "3 are made for each of them, one of which is kept"),
    ],
)
def test_the_warning_names_both_distances_and_the_factor(step_mm, factor, how, caplog):
    with caplog.at_level(logging.WARNING, "pivm"):
        made(5, step_mm)
    learnt = "the generator learnt from slices 5 mm apart (four in five scans: 4 to 6)"
    text = f"p: slices lie {step_mm:g} mm apart, but {learnt}, which is another distance by a factor of {factor}; {how}"
    assert [record.getMessage() for record in caplog.records] == [text]


def test_volumes_of_several_distances_keep_their_order():
    maps = [numbered(count) for count in (3, 5, 2)]
    spacings = [(1.0, 1.0, step) for step in (5.0, 1.0, 30.0)]
    volumes = generate_volumes(Recorder(), LEARNT, ["a", "b", "c"], maps, [1, 2, 3], spacings)
    assert [(v[:, 0, 0] // 100).tolist() for v in volumes] == [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2]]


def test_a_single_slice_is_one_slice_at_any_distance(caplog):
    for step_mm in (0.2, 5.0, 20.0):
        assert made(1, step_mm) == [(1, 0)]
        assert sum(map(len, plan_stacks(1, step_mm, LEARNT).slices)) == 1
    assert not caplog.records


def test_the_distance_is_that_of_the_training_scans_and_one_odd_scan_is_no_range(tmp_path):
    class Store:
        size = 16
        index = pd.DataFrame({"subject": np.repeat([f"p{i:02d}" for i in range(21)], [9, *[2] * 20])})

        def rows(self, split):
            return np.arange(47) if split == "train" else np.arange(47, 49)

    Store.index["patient"] = Store.index["subject"]
    Store.index["below_mm"] = Store.index["subject"].map(lambda name: {"p00": 0.7, "p20": 99.0}.get(name, 5.0))
    (tmp_path / "split.csv").write_text("x")
    facts = trained_on(Store(), 1, tmp_path / "split.csv", [])
    assert facts.below_mm == BelowMm(5.0, 5.0, 5.0)


@pytest.fixture
def model(tmp_path):
    """PIVM without training: what it makes of a slice depends on the slice below."""
    torch.manual_seed(0)
    settings = DiffusionSettings(
        name="pivm",
        kind="diffusion",
        target="variation",
        condition=("labels", "prior", "previous"),
        network=NetworkSettings(label_channels=2, channels=(8, 8), detail_channels=4),
        sampler=SamplerSettings(steps=2, previous_from=1.0),
    )
    generator = DiffusionGenerator(settings, PRIOR, torch.device("cpu"))
    for tensor in generator.net.parameters():
        torch.nn.init.normal_(tensor, std=0.1)
    save_generator(generator, tmp_path / "m", TrainedOn(("p",), 1, 16, {}, LEARNT), {"code": "", "versions": {}})
    write_sampler(tmp_path / "m", plain(settings.sampler))
    return tmp_path / "m"


@pytest.mark.parametrize("step_mm", [1.0, 5.0, 18.0])
def test_a_ct_has_the_grid_of_its_labels_whatever_their_distance(model, step_mm, caplog):
    labels = np.zeros((16, 14, 6), np.uint8)
    labels[4:10, 4:9] = 1
    affine = np.diag([3.0, 3.0, step_mm, 1.0])
    ct = generate_ct(model, labels, affine=affine)
    assert ct.hu.shape == labels.shape
    np.testing.assert_array_equal(ct.affine, affine)
    assert any("slices lie" in record.getMessage() for record in caplog.records) == (step_mm != 5.0)
    assert len(np.unique(ct.hu[labels == 1])) > 6


def test_the_distance_travels_with_the_model_and_a_damaged_one_is_named(model):
    assert ModelFolder.open(model).trained_on.below_mm == LEARNT
    facts = json.loads((model / "model.json").read_text())
    assert facts["below_mm"] == {"median": 5.0, "low": 4.0, "high": 6.0}
    for wrong in ({"median": 5.0}, {**facts["below_mm"], "low": 0}, {**facts["below_mm"], "high": "6"}, 5.0):
        (model / "model.json").write_text(json.dumps({**facts, "below_mm": wrong}))
        with pytest.raises(StateError, match=r"model\.json: below_mm is .*expected"):
            ModelFolder.open(model)
    (model / "model.json").write_text(json.dumps({**facts, "below_mm": None}))
    assert replace(ModelFolder.open(model).trained_on, below_mm=LEARNT).below_mm == LEARNT
