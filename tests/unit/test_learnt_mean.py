"""A learnt mean: what its network sees, what is left to the diffusion, and that nothing of it is lost on the way."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from pivm import cli
from pivm.errors import ConfigError, StateError
from pivm.generators.diffusion import mean_network
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.mean_network import MeanNetwork, residual
from pivm.generators.diffusion.settings import DiffusionSettings, check
from pivm.generators.model_folder import ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.generators.training_data import TrainingData
from pivm.learning.loop import Resume, Run
from pivm.settings import plain, read_settings

from tests.unit.stopped import Stopped, stop_at_save
from tests.unit.test_patient_prior import MADE, PRIOR, data

CPU = torch.device("cpu")
MAPS = np.random.default_rng(0).integers(0, 4, (3, 16, 16)).astype(np.uint8)


def settings(means="regression", **changes) -> DiffusionSettings:
    values = {
        "name": "pivm",
        "kind": "diffusion",
        "target": "variation",
        "condition": ["labels", "prior", "previous"],
        "prior": {"means": means, "channels": [8, 8], "steps": 12, **changes.pop("prior", {})},
        "network": {"label_channels": 4, "channels": [16, 24], "detail_channels": 16},
        "sampler": {"steps": 3},
        "training": {"batch": 4, "epochs": 2},
    }
    return read_settings(DiffusionSettings, {**values, **changes}, "test")


def untrained(means="regression", **changes) -> DiffusionGenerator:
    torch.manual_seed(0)
    return DiffusionGenerator(settings(means, **changes), PRIOR, CPU)


def fit(
    folder: Path, some: TrainingData | None = None, validation=None, seed=7, resume=None, **changes
) -> DiffusionGenerator:
    generator = untrained(**changes)
    run = Run(folder / "losses.csv", resume or Resume(None))
    generator.fit(some or data(), validation, seed, run)
    return generator


def require_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])]


def mean_of(generator: DiffusionGenerator) -> MeanNetwork:
    assert generator.mean is not None
    return generator.mean


def tensors(some: TrainingData) -> tuple[torch.Tensor, torch.Tensor]:
    hu, label_map = some.arrays()
    return torch.from_numpy(hu), torch.from_numpy(label_map.astype(np.int64))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> DiffusionGenerator:
    return fit(tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize("means", ["dataset", "patient", "regression"])
def test_tensorboard_shows_slices_of_the_network_beside_those_of_the_scan(tmp_path, means):
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = {}
    for events in (None, tmp_path / "events"):
        made[events] = untrained(means)
        made[events].fit(data(), data(3), 7, Run(tmp_path / "losses.csv", Resume(None), events))
    require_equal(*(generator.weights() for generator in made.values()))  # looking changes nothing
    shown = EventAccumulator(str(tmp_path / "events"), {"images": 0}).Reload().Images("samples")
    rows = (tmp_path / "losses.csv").read_text().splitlines()[1:]
    assert [image.step for image in shown] == [int(row.split(",")[0]) for row in rows]
    picture = np.asarray(Image.open(io.BytesIO(shown[-1].encoded_image_string)).convert("L"), float) / 255
    hu, _ = data(3).arrays()
    grid = picture[:16, :32]  # the first slice is at the upper left
    real = np.clip((hu[0] + 160) / 400, 0, 1)
    assert picture.size == 4 * 16 * 32
    np.testing.assert_allclose(grid[:, :16], real, atol=0.005)
    assert np.ptp(grid[:, 16:]) > 0.1
    assert not np.allclose(grid[:, 16:], real, atol=0.05)


@pytest.mark.parametrize("scale", ["organ", "global"])
@pytest.mark.parametrize("target", ["variation", "absolute"])
def test_decoding_is_the_inverse_of_encoding(tmp_path, scale, target):
    generator = fit(tmp_path, target=target, noise={"scale": scale})
    rng = np.random.default_rng(0)
    hu = torch.from_numpy(rng.integers(-1024, 401, (5, 16, 16)).astype(np.int16))
    maps = torch.from_numpy(rng.integers(0, 4, (5, 16, 16)))
    assert torch.equal(generator.signal.decode(generator.signal.encode(hu, maps), maps), hu)


def test_the_mean_starts_as_the_prior_map_and_is_learnt(trained):
    hu, maps = tensors(data())
    start = mean_of(untrained())
    assert torch.equal(start.mean(maps), untrained("dataset").signal.prior_map(maps))
    assert float(mean_of(trained).loss(hu, maps).detach()) < float(start.loss(hu, maps).detach())


def test_the_diffusion_learns_what_the_mean_leaves_in_its_own_unit(trained):
    some = data()
    hu, maps = tensors(some)
    left = hu[:, None] - mean_of(trained).mean(maps)
    spread = residual(mean_of(trained), some, 4)
    assert trained.prior.variation_sd == pytest.approx(float(left.square().mean().sqrt()), rel=1e-5)
    assert (spread.whole, spread.own) == (trained.prior.variation_sd, trained.prior.organ_sd)
    of_organ = float(left[:, 0][maps == 1].square().mean().sqrt())
    assert trained.prior.organ_sd[1] == pytest.approx(min(of_organ, spread.whole), rel=1e-5)
    torch.testing.assert_close(trained.signal.encode(hu, maps) * trained.signal.scale(maps), left)
    assert trained.prior.means == PRIOR.means


def test_the_network_is_shown_the_mean_in_place_of_the_prior_map(trained, monkeypatch):
    shown = []
    forward = trained.net.forward
    monkeypatch.setattr(trained.net, "forward", lambda *a: shown.append(a[3]) or forward(*a))
    ids = torch.from_numpy(MAPS.astype(np.int64))
    trained.generate(MAPS, [1, 2, 3])
    wanted = (mean_of(trained).mean(ids) - PRIOR.absolute_mean) / PRIOR.absolute_sd
    assert len(shown) == 3
    assert all(torch.equal(one, wanted) for one in shown)


def test_only_training_slices_are_learnt_from(tmp_path, trained):
    """Neither validation patients nor other rows of the store, such as test patients, move a weight or the unit."""
    beside = fit(tmp_path, validation=data(3, shift=200.0))
    require_equal(trained.weights(), beside.weights())
    assert trained.prior == beside.prior
    more, rows = data(9), np.arange(12)
    known = [TrainingData(more.store, PRIOR, rows, more.previous)]
    changed = data(9)
    changed.store.hu[12:] += 300
    changed.store.labels[12:] = 1
    known.append(TrainingData(changed.store, PRIOR, rows, changed.previous))
    one, other = (fit(tmp_path, some) for some in known)
    require_equal(one.weights(), other.weights())
    assert one.prior == other.prior


def test_the_same_seed_gives_the_same_weights(tmp_path, trained):
    require_equal(trained.weights(), fit(tmp_path).weights())
    other = fit(tmp_path, seed=8)
    assert not torch.equal(mean_of(trained).net.head.weight, mean_of(other).net.head.weight)


def test_what_has_no_learnt_mean_trains_as_without_one(tmp_path):
    """The settings of the mean move no weight of another generator, and its network starts as the others do."""
    one, other = (fit(tmp_path, means="dataset", prior=own) for own in ({}, {"steps": 99, "channels": [16, 16]}))
    require_equal(one.weights(), other.weights())
    assert not (tmp_path / "mean").exists()
    require_equal(untrained().net.state_dict(), untrained("dataset").net.state_dict())


@pytest.mark.parametrize("save", [5, 13, 14, 17])
def test_stopped_and_started_again_ends_in_the_same_weights_and_losses(tmp_path, monkeypatch, save):
    """The twelve steps of the mean keep nothing, then it is kept as a whole; after that come steps of the diffusion."""
    path, straight = tmp_path / "resume-x.pt", tmp_path / "straight"
    straight.mkdir()
    whole, saves = fit(straight), stop_at_save(monkeypatch, save)
    with pytest.raises(Stopped):
        fit(tmp_path, resume=Resume(path, every=0))
    kept = (tmp_path / "resume-x-mean.pt").exists()
    assert kept == (save > 12)
    assert path.exists() == (save > 13)
    if kept:
        monkeypatch.setattr(mean_network, "train", None)  # it is not learnt again
    before = len(saves)
    resumed = fit(tmp_path, resume=Resume(path, every=0))
    assert len(saves) > before
    require_equal(whole.weights(), resumed.weights())
    assert whole.prior == resumed.prior
    assert (straight / "losses.csv").read_text() == (tmp_path / "losses.csv").read_text()
    Resume(path).clear()
    assert not list(tmp_path.glob("resume-*"))


def test_its_losses_stand_in_a_folder_of_their_own(tmp_path):
    fit(tmp_path, validation=data(3))
    header, *rows = (tmp_path / "mean/losses.csv").read_text().splitlines()
    assert "validation_loss" in header
    assert rows[-1].startswith("12,")


class TestFolder:
    @pytest.fixture
    def folder(self, trained, tmp_path) -> Path:
        save_generator(trained, tmp_path / "model", TrainedOn(("p",), 1, 16, {}), MADE)
        write_sampler(tmp_path / "model", plain(settings().sampler))
        return tmp_path / "model"

    def change(self, folder: Path, **prior) -> None:
        facts = json.loads((folder / "model.json").read_text())
        facts["settings"]["prior"].update(prior)
        facts["settings"]["prior"] = {k: v for k, v in facts["settings"]["prior"].items() if v is not None}
        (folder / "model.json").write_text(json.dumps(facts))

    def test_a_loaded_model_makes_the_same_slices_and_volumes(self, trained, folder):
        again = ModelFolder.open(folder).load(CPU)
        require_equal(trained.weights(), again.weights())
        assert again.prior == trained.prior
        assert np.array_equal(trained.generate(MAPS, [1, 2, 3]), again.generate(MAPS, [1, 2, 3]))
        (one,), (other,) = (generator.generate_volumes([MAPS], [9]) for generator in (trained, again))
        assert np.array_equal(one, other)
        assert one.shape == MAPS.shape

    def test_the_mean_is_part_of_what_is_made(self, trained, folder):
        again = ModelFolder.open(folder).load(CPU)
        assert isinstance(again, DiffusionGenerator)
        with torch.no_grad():
            mean_of(again).net.head.bias += 3.0
        assert not np.array_equal(trained.generate(MAPS, [1, 2, 3]), again.generate(MAPS, [1, 2, 3]))

    @pytest.mark.parametrize(
        ("prior", "message"),
        [
            ({"channels": [8, 16]}, r"weight 'mean\.net\..* has shape .*, the network wants"),
            ({"means": "dataset"}, r"weight 'mean\.net\..* is none of the network"),
            ({"means": "patient"}, r"weight 'mean\.net\..* is none of the network"),
            ({"means": "regressed"}, r"settings\.prior\.means: found 'regressed'.*regression"),
            ({"channels": [8]}, r"weight 'mean\.net\."),
        ],
    )
    def test_settings_that_do_not_go_with_the_weights_are_refused(self, folder, prior, message):
        self.change(folder, **prior)
        with pytest.raises(StateError, match=message):
            ModelFolder.open(folder).load(CPU)

    def test_a_folder_without_the_mean_is_refused(self, folder, tmp_path):
        save_generator(fit(tmp_path, means="dataset"), folder, TrainedOn(("p",), 1, 16, {}), MADE)
        self.change(folder, means="regression")
        with pytest.raises(StateError, match=r"weight 'mean\.net\..*' is missing"):
            ModelFolder.open(folder).load(CPU)

    def test_a_model_of_before_there_was_one_is_read(self, folder, tmp_path):
        generator = fit(tmp_path, means="dataset")
        save_generator(generator, folder, TrainedOn(("p",), 1, 16, {}), MADE)
        self.change(folder, channels=None, steps=None, weight_decay=None)
        again = ModelFolder.open(folder).load(CPU)
        assert np.array_equal(generator.generate(MAPS, [1, 2, 3]), again.generate(MAPS, [1, 2, 3]))

    def test_pivm_generate_makes_a_volume_and_knows_no_organ_means(self, folder, tmp_path, capsys):
        array = np.zeros((16, 16, 4), np.uint8)
        array[3:8, 3:13], array[8:13, 3:13] = 1, 2
        nib.save(nib.Nifti1Image(array, np.diag([3.0, 3.0, 5.0, 1.0])), tmp_path / "labels.nii.gz")
        given = [
            "--model",
            str(folder),
            "--labels",
            str(tmp_path / "labels.nii.gz"),
            "--out",
            str(tmp_path / "o.nii.gz"),
        ]
        call = ["generate", *given, "--ids", "model", "--device", "cpu", "--overwrite"]
        assert cli.main(call) == 0
        assert (tmp_path / "o.nii.gz").exists()
        assert cli.main([*call, "--organ", "a=95"]) == 1
        assert "train one with `diffusion.prior.means: patient`" in capsys.readouterr().err


def test_settings_that_cannot_go_together_are_refused():
    blind = dataclasses.replace(settings(), target="absolute", condition=("labels",))
    with pytest.raises(ConfigError, match=r"found 'regression', but .* neither subtracts a prior map nor is shown one"):
        check(blind, 16)
    check(dataclasses.replace(blind, condition=("labels", "prior")), 16)
    deep = settings(prior={"channels": [8, 8, 8, 8, 8]})
    with pytest.raises(ConfigError, match=r"multiple of 32 for the 5 levels of diffusion\.prior\.channels"):
        check(deep, 16)
    check(settings("dataset", prior={"channels": [8, 8, 8, 8, 8]}), 16)
    with pytest.raises(ConfigError, match=r"steps.*found 0, expected a whole number from 1 on"):
        settings(prior={"steps": 0})
