"""Volumes of labels whose slices lie nearer or farther apart than those of the training."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from pivm.cohort.prior import Prior
from pivm.errors import StateError
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.settings import DiffusionSettings, NetworkSettings, SamplerSettings
from pivm.generators.fitting import trained_on
from pivm.generators.model_folder import BelowMm, ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.settings import plain
from pivm.synthesis.inference import generate_ct
from pivm.synthesis.z_step import ALIKE, warn_of_step

LEARNT = BelowMm(5.0, 4.0, 6.0)
PRIOR = Prior(
    "body", ("a",), ("a",), (-1000.0, 50.0, 20.0), (9, 9, 9), 60.0, (5.0, 20.0, 30.0), 0.0, 100.0, (-1024, 300)
)


def warnings_of(step_mm: float, caplog, sees_below: bool = True, learnt: BelowMm | None = LEARNT) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "pivm"):
        warn_of_step(SimpleNamespace(sees_below=sees_below), learnt, "p", step_mm)
    return [record.getMessage() for record in caplog.records]


def test_a_distance_like_those_of_the_training_is_not_named(caplog):
    for step_mm in (4.0 / ALIKE, 3, 4, 5, 6, 6.0 * ALIKE):
        assert warnings_of(step_mm, caplog) == []


@pytest.mark.parametrize(("step_mm", "factor"), [(1.0, "4"), (2.5, "1.6"), (18.0, "3"), (9.5, "1.6")])
def test_the_warning_names_both_distances_and_the_factor(step_mm, factor, caplog):
    (text,) = warnings_of(step_mm, caplog)
    learnt = "the generator learnt from slices 5 mm apart (four in five scans: 4 to 6)"
    assert (
        f"p: slices lie {step_mm:g} mm apart, but {learnt}, which is another distance by a factor of {factor}:" in text
    )


def test_what_is_not_shown_the_slice_below_or_comes_with_released_weights_takes_any_distance(caplog):
    assert warnings_of(0.5, caplog, sees_below=False) == []
    assert warnings_of(0.5, caplog, learnt=None) == []


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
