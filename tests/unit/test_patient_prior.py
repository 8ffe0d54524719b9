"""A prior per patient: the distribution of organ means, and what training and sampling make of it."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st
from pivm import cli
from pivm.cohort.prior import Prior
from pivm.errors import ConfigError, StateError
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.settings import DiffusionSettings, OrganMeansSettings, check
from pivm.generators.diffusion.signal import Signal
from pivm.generators.kinds import kinds
from pivm.generators.model_folder import ModelFolder, TrainedOn, save_generator
from pivm.generators.organ_moments import OrganMoments, fit_patients
from pivm.generators.patient_means import PatientMeans, shrinkage
from pivm.generators.sampler_file import read_sampler, write_sampler
from pivm.generators.training_data import TrainingData
from pivm.learning.loop import Resume, Run
from pivm.settings import plain, read_settings
from pivm.synthesis.label_sources import Chosen
from pivm.synthesis.slices import patient_seeds

CPU = torch.device("cpu")
#: air, a, b, body
PRIOR = Prior(
    "body", ("a", "b"), ("a", "b"), (-900.0, 60.0, 90.0, -80.0), (9,) * 4, 60.0, (30.0,) * 4, 0.0, 100.0, (-1024, 400)
)
OPTIONS = OrganMeansSettings("patient", 50.0, 2)
MADE = {"code": "0" * 16, "versions": {"torch": "2"}}


def settings(means="patient", **sampler) -> DiffusionSettings:
    values = {
        "name": "pivm",
        "kind": "diffusion",
        "target": "variation",
        "condition": ["labels", "prior", "previous"],
        "prior": {"means": means, "components": 2},
        "noise": {"organ_share": 0.0},
        "network": {"label_channels": 4, "channels": [16, 24], "detail_channels": 16},
        "sampler": {"steps": 3, **sampler},
        "training": {"batch": 4, "epochs": 2},
    }
    return read_settings(DiffusionSettings, values, "test")


def data(scans=6, size=16, of=lambda scan: f"p{scan}", shift=0.0) -> TrainingData:
    """Two slices of each scan, whose organs are ``20 * scan`` HU above the prior's; label b is not in scan 0."""
    rng = np.random.default_rng(0)
    scan = np.repeat(np.arange(scans), 2)
    labels = rng.integers(0, 3, (len(scan), size, size)).astype(np.uint8)
    labels[scan == 0] %= 2
    body = rng.random(labels.shape) < 0.8
    level = np.array([0, 60, 90])[labels] + 20 * scan[:, None, None] * (labels > 0)
    hu = (level + shift + rng.normal(0, 5, labels.shape)).astype(np.int16)
    index = pd.DataFrame({"subject": [f"s{s}" for s in scan], "patient": [of(s) for s in scan]})
    store = SimpleNamespace(hu=hu, labels=labels, body=body, index=index)
    return TrainingData(store, PRIOR, np.arange(len(scan)), np.arange(len(scan)) - 1)


def correlated(patients: int, seed: int = 0) -> np.ndarray:
    """Means of five labels with one factor in common, HU."""
    rng = np.random.default_rng(seed)
    loadings = np.array([20.0, 30.0, 40.0, 10.0, 0.0])
    return 50 + rng.standard_normal((patients, 1)) * loadings + 5 * rng.standard_normal((patients, 5))


def fitted(own: np.ndarray, components: int = 2) -> PatientMeans:
    return PatientMeans.fit(own, np.ones(len(own)), np.nanmean(own, axis=0), components)


class TestDistribution:
    def test_many_patients_give_their_mean_and_covariance(self):
        own = correlated(2000)
        patients = fitted(own)
        covariance = patients.factors.T @ patients.factors + np.diag(patients.spread**2)
        np.testing.assert_allclose(patients.mean, own.mean(0), atol=0.1)
        np.testing.assert_allclose(covariance, np.cov(own.T), atol=25)
        np.testing.assert_allclose(np.diag(covariance), own.var(0), rtol=0.01)

    def test_draws_follow_it(self):
        patients = fitted(correlated(40))
        draws = np.stack([patients.draw(seed) for seed in range(4000)])
        covariance = patients.factors.T @ patients.factors + np.diag(patients.spread**2)
        np.testing.assert_allclose(draws.mean(0), patients.mean, atol=2.5)
        np.testing.assert_allclose(np.cov(draws.T), covariance, atol=60)
        assert np.array_equal(patients.draw(3), patients.draw(3))

    def test_few_patients_are_shrunk_towards_the_data_set(self):
        shared = np.full(5, 100.0)
        few, more = (PatientMeans.fit(correlated(n), np.ones(n), shared, 2) for n in (3, 300))
        sample = correlated(3)
        assert (np.abs(few.mean - shared) < np.abs(sample.mean(0) - shared)).all()
        np.testing.assert_allclose(few.mean, (sample.sum(0) + shared) / 4)
        assert _correlation(few)[0, 2] < 0.8 * _correlation(more)[0, 2]

    def test_one_patient_is_enough_not_to_fail(self):
        patients = PatientMeans.fit(np.array([[40.0, np.nan]]), np.ones(1), np.array([60.0, 90.0]), 5)
        assert patients.factors.shape == (5, 2)
        assert np.isfinite(patients.draw(1)).all()
        assert patients.mean.tolist() == [50.0, 90.0]

    def test_scans_of_one_person_weigh_as_one(self):
        own = correlated(4)
        twice = np.vstack([own, own[:1]])
        a = PatientMeans.fit(own, np.ones(4), own.mean(0), 2)
        b = PatientMeans.fit(twice, np.array([0.5, 1, 1, 1, 0.5]), own.mean(0), 2)
        np.testing.assert_allclose(a.mean, b.mean)
        np.testing.assert_allclose(np.abs(a.factors), np.abs(b.factors), atol=1e-6)

    def test_what_a_patient_lacks_is_its_conditional_mean(self):
        patients = fitted(correlated(300))
        own = np.array([70.0, 80.0, np.nan, np.nan, 50.0])
        covariance = patients.factors.T @ patients.factors + np.diag(patients.spread**2)
        known, lacking = [0, 1, 4], [2, 3]
        gain = covariance[np.ix_(lacking, known)] @ np.linalg.inv(covariance[np.ix_(known, known)])
        expected = patients.mean[lacking] + gain @ (own[known] - patients.mean[known])
        np.testing.assert_allclose(patients.completed(own)[lacking], expected)
        assert patients.completed(own)[known].tolist() == [70.0, 80.0, 50.0]

    def test_known_means_are_kept_and_the_others_follow_them(self):
        patients = fitted(correlated(300)).given({0: 90.0})
        draws = np.stack([patients.draw(seed) for seed in range(500)])
        assert (draws[:, 0] == 90.0).all()
        # label 2 has twice the loading of label 0, which lies 40 above its mean
        assert draws[:, 2].mean() == pytest.approx(50 + 2 * 40, abs=12)
        assert draws[:, 2].std() < 20
        assert patients.given({}).mean.tolist() == patients.mean.tolist()

    def test_missing_labels_do_not_bias_the_mean(self):
        own = correlated(400)
        own[own[:, 0] > 50, 1] = np.nan  # b is missing where a is bright
        assert fitted(own).mean[1] == pytest.approx(50, abs=5)
        assert np.nanmean(own[:, 1]) < 35

    @pytest.mark.parametrize(("patients", "size"), [(5, 200), (40, 200)])
    def test_the_shrinkage_is_that_of_scikit_learn(self, patients, size):
        """It leaves out the terms 2 / size of the paper, which vanish for many labels."""
        oas = pytest.importorskip("sklearn.covariance").oas
        sample = correlated(patients) @ np.random.default_rng(1).normal(size=(5, size))
        sample -= sample.mean(0)
        assert shrinkage(sample.T @ sample / patients, patients) == pytest.approx(oas(sample)[1], rel=0.01)


def _correlation(patients: PatientMeans) -> np.ndarray:
    covariance = patients.factors.T @ patients.factors + np.diag(patients.spread**2)
    return covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))


class TestOwnMeans:
    def test_means_are_clipped_and_shrunk_by_pixels(self):
        label_map = np.array([[[1, 1, 1, 2]], [[1, 3, 3, 0]]], np.uint8)
        hu = np.array([[[900, 100, 100, -50]], [[10, -300, -500, -1000]]], np.int16)
        moments = OrganMoments.of(hu, label_map, np.array([0, 1]), 2, PRIOR)
        means = moments.means(PRIOR, 50)
        assert means[0, 1] == pytest.approx((300 + 100 + 100 + 50 * 60) / 53)  # 900 is clipped to 300
        assert means[1, 3] == pytest.approx((-800 + 50 * -80) / 52)  # the rest of the body is not clipped
        assert np.isnan(means[0, [0, 3]]).all()
        assert np.isnan(means[1, 2])
        paper = dataclasses.replace(PRIOR, kind="paper", means=(0.0, 60.0, 90.0))
        assert OrganMoments.of(hu[1:], label_map[1:] % 3, np.array([0]), 1, paper).means(paper, 0)[0, 0] == 0

    def test_chunks_change_nothing(self):
        whole, parts = (OrganMoments.of_data(data(), chunk) for chunk in (100, 5))
        for field in dataclasses.fields(whole):
            assert np.array_equal(getattr(whole, field.name), getattr(parts, field.name))

    def test_the_scale_is_the_spread_around_the_own_means(self):
        some = data(size=64)
        result = fit_patients(some, OrganMoments.of_data(some), dataclasses.replace(OPTIONS, shrink_pixels=0.0))
        # noise of 5 HU alone is left inside organs; around the data set's means it would be 35
        assert result.prior.organ_sd[1] == pytest.approx(5, abs=0.3)
        v = Signal("variation", "organ", result.prior).encode(
            *(torch.from_numpy(a.astype(np.int64)) for a in some.arrays()), torch.tensor(result.own)[some.scan]
        )
        assert float(v.std()) == pytest.approx(1, abs=0.1)

    def test_persons_weigh_one(self):
        assert data(4, of=lambda scan: f"p{scan // 2}").scan_weights().tolist() == [0.5] * 4
        assert data(4).scan_weights().tolist() == [1.0] * 4


@checks(max_examples=50, deadline=None)
@given(
    means=st.lists(st.floats(-900, 300), min_size=8, max_size=8),
    hu=st.lists(st.integers(-1024, 400), min_size=8, max_size=8),
    scaling=st.sampled_from(["global", "organ"]),
    target=st.sampled_from(["variation", "absolute"]),
)
def test_decoding_is_the_inverse_of_encoding(means, hu, scaling, target):
    signal = Signal(target, scaling, PRIOR)
    images, maps = torch.tensor(hu).view(2, 2, 2), torch.arange(8).view(2, 2, 2) % 4
    own = torch.tensor(means, dtype=torch.float32).view(2, 4)
    assert torch.equal(signal.decode(signal.encode(images, maps, own), maps, own).long(), images)
    assert torch.equal(signal.prior_map(maps, own)[1, 0, 0], own[1, :2])


def train(tmp_path, means="patient", validation=None) -> DiffusionGenerator:
    torch.manual_seed(0)
    generator = DiffusionGenerator(settings(means), PRIOR, CPU)
    generator.fit(data(), validation, 7, Run(tmp_path / "losses.csv", Resume(None)))
    return generator


def test_no_validation_patient_moves_the_distribution(tmp_path):
    alone, beside, others = (train(tmp_path, validation=v) for v in (None, data(3), data(3, shift=200.0)))
    for generator in (beside, others):
        for name, tensor in alone.weights().items():
            assert torch.equal(tensor, generator.weights()[name]), name
        assert alone.prior == generator.prior


def test_the_network_meets_the_means_of_the_patient_in_every_place(tmp_path, monkeypatch):
    """Target, prior channel and slice below take the patient's own map."""
    seen = []
    original = Signal.prior_map

    def spy(self, label_map, means=None):
        seen.append(means)
        return original(self, label_map, means)

    monkeypatch.setattr(Signal, "prior_map", spy)
    train(tmp_path)
    assert seen
    assert all(means is not None and means.shape[1] == 4 for means in seen)
    seen.clear()
    train(tmp_path, "dataset")
    assert seen.count(None) == len(seen) > 0


def test_slices_of_a_patient_share_a_draw_and_volumes_have_one(tmp_path):
    generator = train(tmp_path)
    maps = np.random.default_rng(0).integers(0, 4, (4, 16, 16)).astype(np.uint8)
    drawn = generator._means([5, 5, 6])
    assert drawn is not None
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    together = generator.generate(maps, [1, 2, 3, 4], [5, 5, 6, 6])
    assert np.array_equal(together[1:2], generator.generate(maps[1:2], [2], [5]))
    assert not np.array_equal(together[1:2], generator.generate(maps[1:2], [2], [6]))
    (volume,) = generator.generate_volumes([maps], [9])
    (again,) = generator.generate_volumes([maps], [9])
    assert np.array_equal(volume, again)


def test_the_mean_map_is_an_option(tmp_path):
    generator = train(tmp_path)
    generator.settings = settings(prior_draw="mean")
    maps = np.random.default_rng(0).integers(0, 4, (1, 16, 16)).astype(np.uint8)
    assert np.array_equal(generator.generate(maps, [1], [5]), generator.generate(maps, [1], [6]))
    assert generator._means([5])[0].tolist() == pytest.approx(generator.patients.mean.tolist(), rel=1e-6)


def test_a_saved_model_draws_the_same_patients(tmp_path):
    generator = train(tmp_path)
    save_generator(generator, tmp_path, TrainedOn(("p",), 1, 16, {}), MADE)
    write_sampler(tmp_path, plain(settings().sampler))
    opened = ModelFolder.open(tmp_path)
    again = opened.load(CPU)
    maps = np.random.default_rng(0).integers(0, 4, (2, 16, 16)).astype(np.uint8)
    assert np.array_equal(generator.generate(maps, [1, 2], [3, 3]), again.generate(maps, [1, 2], [3, 3]))
    facts = json.loads((tmp_path / "model.json").read_text())
    facts["settings"]["prior"]["components"] = 3
    (tmp_path / "model.json").write_text(json.dumps(facts))
    with pytest.raises(StateError, match=r"patients\.factors.* has shape \(2, 4\), the network wants \(3, 4\)"):
        ModelFolder.open(tmp_path).load(CPU)


def test_a_model_of_an_earlier_version_has_the_means_of_the_data_set(tmp_path):
    generator = train(tmp_path, "dataset")
    save_generator(generator, tmp_path, TrainedOn(("p",), 1, 16, {}), MADE)
    facts = json.loads((tmp_path / "model.json").read_text())
    del facts["settings"]["prior"]
    (tmp_path / "model.json").write_text(json.dumps(facts))
    sampler = plain(settings().sampler)
    del sampler["prior_draw"]
    write_sampler(tmp_path, sampler)
    assert read_sampler(tmp_path, kinds()["diffusion"]).prior_draw == "drawn"
    opened = ModelFolder.open(tmp_path)
    assert opened.settings.prior.means == "dataset"
    maps = np.random.default_rng(0).integers(0, 4, (2, 16, 16)).astype(np.uint8)
    assert np.array_equal(generator.generate(maps, [1, 2]), opened.load(CPU).generate(maps, [1, 2], [8, 9]))


class TestAskedFor:
    """``pivm generate --organ`` and ``--like``."""

    AFFINE = np.diag([3.0, 3.0, 5.0, 1.0])

    @pytest.fixture
    def model(self, tmp_path):
        generator = train(tmp_path)
        save_generator(generator, tmp_path / "model", TrainedOn(("p",), 1, 16, {}), MADE)
        write_sampler(tmp_path / "model", plain(settings().sampler))
        array = np.zeros((16, 16, 4), np.uint8)
        array[3:8, 3:13], array[8:13, 3:13] = 1, 2
        nib.save(nib.Nifti1Image(array, self.AFFINE), tmp_path / "labels.nii.gz")
        hu = np.where(array == 0, -1000, np.where(array == 1, 120, 40)).astype(np.int16)
        nib.save(nib.Nifti1Image(hu, self.AFFINE), tmp_path / "real.nii.gz")
        return tmp_path

    def generate(self, path, *more: str) -> int:
        files = {"model": "model", "labels": "labels.nii.gz", "out": "o.nii.gz"}
        given = [part for name, file in files.items() for part in (f"--{name}", str(path / file))]
        return cli.main(["generate", *given, "--ids", "model", "--device", "cpu", "--overwrite", *more])

    def means(self, monkeypatch) -> list[np.ndarray]:
        """The organ means that volumes are made with."""
        used, original = [], DiffusionGenerator._means

        def spy(self, seeds):
            used.append(original(self, seeds))
            return used[-1]

        monkeypatch.setattr(DiffusionGenerator, "_means", spy)
        return used

    def test_an_organ_has_the_mean_that_is_asked_for(self, model, monkeypatch):
        used = self.means(monkeypatch)
        assert self.generate(model, "--organ", "a=95", "--seed", "3") == 0
        assert self.generate(model, "--organ", "a=130", "--seed", "3") == 0
        assert [float(m[0, 1]) for m in used] == [95, 130]
        assert used[0][0, 2] < used[1][0, 2]  # the other organ goes with it, as in the training patients

    def test_a_ct_gives_its_means_and_a_named_organ_goes_first(self, model, monkeypatch):
        used = self.means(monkeypatch)
        assert self.generate(model, "--like", str(model / "real.nii.gz"), "--organ", "b=70") == 0
        assert float(used[0][0, 1]) == pytest.approx((200 * 120 + 50 * 60) / 250, abs=1)
        assert float(used[0][0, 2]) == 70
        assert self.generate(model, "--like", str(model / "real.nii.gz")) == 0
        assert float(used[1][0, 2]) == pytest.approx((200 * 40 + 50 * 90) / 250, abs=1)
        # its labels are all of them, whichever slices are made
        assert self.generate(model, "--like", str(model / "real.nii.gz"), "--window", "1:2") == 0
        np.testing.assert_array_equal(used[2], used[1])

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            (["--organ", "lever=95"], "organ 'lever': unknown to the model; it knows a, b"),
            (["--organ", "a=9000"], "found 9000.0 HU, expected -1024 to 400"),
            (["--organ", "a=nan"], "found nan HU"),
            (["--like-labels", "x.nii.gz"], "--like, which is not given"),
            (["--like", "absent.nii.gz"], "absent.nii.gz"),
        ],
    )
    def test_what_cannot_be_done_is_said(self, model, capsys, more, message):
        assert self.generate(model, *more) == 1
        assert message in capsys.readouterr().err

    def test_a_number_that_is_none_is_a_wrong_argument(self, model, capsys):
        with pytest.raises(SystemExit):
            self.generate(model, "--organ", "a")
        assert "expected an organ and its mean HU, as liver=95" in capsys.readouterr().err

    def test_a_mean_beyond_all_patients_is_named(self, model, caplog):
        assert self.generate(model, "--organ", "a=-700") == 0
        assert "a: -700 HU is far from the training patients" in caplog.text

    def test_a_ct_on_another_grid_is_refused(self, model, capsys):
        hu = np.full((16, 16, 5), -1000, np.int16)
        hu[4:12] = 50
        nib.save(nib.Nifti1Image(hu, self.AFFINE), model / "real.nii.gz")
        assert self.generate(model, "--like", str(model / "real.nii.gz")) == 1
        assert "--like-labels" in capsys.readouterr().err

    def test_a_generator_of_the_data_set_refuses(self, model, capsys):
        save_generator(train(model, "dataset"), model / "model", TrainedOn(("p",), 1, 16, {}), MADE)
        assert self.generate(model, "--organ", "a=95") == 1
        assert "train one with `diffusion.prior.means: patient`" in capsys.readouterr().err


def test_a_generator_that_never_meets_the_map_refuses_it():
    blind = dataclasses.replace(settings(), target="absolute", condition=("labels",))
    with pytest.raises(ConfigError, match="neither subtracts a prior map nor is shown one"):
        check(blind, 16)
    check(dataclasses.replace(blind, condition=("labels", "prior")), 16)


def test_a_label_map_that_comes_again_is_of_another_patient():
    index = pd.DataFrame({"subject": ["a", "a", "b"]})
    seeds = patient_seeds(Chosen("train", SimpleNamespace(index=index), np.array([0, 1, 2, 0, 1])), 3)
    assert seeds[0] == seeds[1] != seeds[2]
    assert seeds[3] == seeds[4] != seeds[0]
    assert seeds == patient_seeds(Chosen("train", SimpleNamespace(index=index), np.array([0, 1, 2, 0, 1])), 3)
    assert seeds[0] != patient_seeds(Chosen("labels_only", SimpleNamespace(index=index), np.array([0])), 3)[0]
