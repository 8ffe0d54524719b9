"""Which slices a segmenter's steps see: shares of synthetic ones, synthetic ones first, rare organs more often."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pivm.config import evidence, validate
from pivm.config.training_sets import TrainingSet, segmenter_settings, training_sets
from pivm.errors import ConfigError
from pivm.learning.batches import Batches, Mixed
from pivm.learning.loop import Run
from pivm.learning.resume import Resume
from pivm.segmentation.drawing_slices import batches_of, repeat_factors
from pivm.segmentation.segmenter import Segmenter, segmentation_loss
from pivm.segmentation.settings import AugmentationSettings, RareOrgansSettings, SegmenterSettings
from pivm.segmentation.training_set import Part, TrainingSlices
from pivm.settings import read_settings

from tests.unit.stopped import Stopped, stop_at_save

ROOT = Path(__file__).parents[2]
REAL, SYNTHETIC, SIZE = 10, 6, 16


def part(count: int, synthetic: bool, seed: int = 0) -> Part:
    """Label 1 everywhere but in the first slices: the first two have a pixel of label 3, the others one of label 2."""
    rng = np.random.default_rng(seed)
    labels = np.ones((count, SIZE, SIZE), np.uint8)
    labels[:, 0, :] = 0
    labels[:2, 4, 4], labels[2:4, 4:8, 4:8] = 3, 2
    hu = (labels * 100 + rng.normal(0, 20, labels.shape)).astype(np.int16)
    return Part(hu, labels, synthetic)


@pytest.fixture
def both() -> TrainingSlices:
    return TrainingSlices([part(REAL, False), part(SYNTHETIC, True)])


def settings(**keys) -> SegmenterSettings:
    small = SegmenterSettings(depth=3, decoder_channels=(8, 8, 8), steps=20, batch=4)
    return replace(small, **keys)


def rows(slices: TrainingSlices, steps: int, **keys) -> list[list[int]]:
    batches = batches_of(slices, settings(**keys), 3)
    return [batches.at(step).tolist() for step in range(steps)]


def is_synthetic(row: int) -> bool:
    return row >= REAL


class TestAsBefore:
    def test_without_a_share_there_is_one_pool(self, both):
        whole = Batches(REAL + SYNTHETIC, 4, 3)
        assert rows(both, 20, synthetic_share=None) == [whole.at(step).tolist() for step in range(20)]

    @pytest.mark.parametrize("kind", [False, True])
    def test_what_parts_two_kinds_leaves_a_set_of_one_alone(self, kind):
        one = TrainingSlices([part(REAL, kind)])
        whole = [Batches(REAL, 4, 3).at(step).tolist() for step in range(9)]
        assert rows(one, 9, synthetic_share=0.5) == rows(one, 9, synthetic_first=0.5) == whole

    def test_two_parts_of_one_kind_are_none(self):
        with pytest.raises(ValueError, match="one kind"):
            TrainingSlices([part(2, False), part(2, False)])


class TestShare:
    def test_half_is_half_of_each_batch_and_each_kind_has_its_epochs(self, both):
        seen = rows(both, 15, synthetic_share=0.5)
        assert all(sum(map(is_synthetic, batch)) == 2 for batch in seen)
        stream = [row for batch in seen for row in batch]
        real, synthetic = ([r for r in stream if is_synthetic(r) is kind] for kind in (False, True))
        assert all(sorted(real[i : i + REAL]) == list(range(REAL)) for i in (0, 10, 20))
        assert all(sorted(synthetic[i : i + 6]) == list(range(REAL, REAL + 6)) for i in (0, 6, 12, 18, 24))

    @given(st.integers(0, 100), st.integers(1, 7), st.integers(0, 40))
    def test_a_share_is_exact_over_its_period(self, percent, batch, start):
        """100 slices of a stream, wherever they begin, hold as many as the share has per cent."""
        mixed = Mixed(Batches(5, batch, 1), Batches(3, batch, 2, first=5), percent / 100)
        stream = torch.cat([mixed.at(step) for step in range((start + 100) // batch + 1)])[start : start + 100]
        assert int((stream >= 5).sum()) == percent

    @pytest.mark.parametrize(("share", "kinds"), [(0.0, {False}), (1.0, {True})])
    def test_all_or_nothing(self, both, share, kinds):
        assert {is_synthetic(row) for batch in rows(both, 10, synthetic_share=share) for row in batch} == kinds


class TestFirst:
    def test_synthetic_slices_alone_then_real_ones_alone(self, both):
        seen = rows(both, 20, synthetic_first=0.3)
        assert all(is_synthetic(row) for batch in seen[:6] for row in batch)
        assert not any(is_synthetic(row) for batch in seen[6:] for row in batch)
        stream = [row for batch in seen[6:] for row in batch]
        assert sorted(stream[:REAL]) == list(range(REAL))

    def test_it_is_recorded_so_in_a_training(self, both, tmp_path):
        seen = []

        class Recording(TrainingSlices):
            def batch(self, rows):
                seen.append([is_synthetic(int(row)) for row in rows])
                return super().batch(rows)

        torch.manual_seed(0)
        unet = settings(synthetic_first=0.5, steps=4)
        Segmenter(unet, 4, torch.device("cpu")).fit(Recording(both.parts), 1, Run(tmp_path / "losses.csv"))
        assert seen == [[True] * 4] * 2 + [[False] * 4] * 2

    def test_it_goes_with_no_share(self):
        found = yaml.safe_load((ROOT / "config.yaml").read_text())
        found["segmentation"] |= {"synthetic_share": 0.5, "synthetic_first": 0.5}
        with pytest.raises(ConfigError, match=r"segmentation\.synthetic_share.*never mixes the two kinds"):
            validate(found)


class TestRareOrgans:
    def test_factors_are_those_by_hand(self):
        # of 100 labelled pixels 64 are of the first organ, 32 of the second, 4 of the third; the fourth is nowhere
        pixels = np.array([[40, 0, 0, 0], [20, 32, 0, 0], [4, 0, 4, 0], [0, 0, 0, 0]])
        assert repeat_factors(pixels, 0.36).tolist() == pytest.approx([1, (0.36 / 0.32) ** 0.5, 3, 1])
        assert repeat_factors(pixels, 0.04).tolist() == [1, 1, 1, 1]
        assert repeat_factors(np.zeros((2, 3), int), 1.0).tolist() == [1, 1]

    def test_an_epoch_has_each_row_as_often_as_its_share_rounded(self):
        repeats = np.array([1.0, 2.5, 0.25, 1.0, 1.25])
        batches = Batches(5, 5, 7, repeats=repeats)
        wanted, total = repeats * 5 / 6, np.zeros(5)
        for epoch in range(400):
            counts = np.bincount(batches.at(epoch), minlength=5)
            assert counts.sum() == 5
            assert (counts >= np.floor(wanted)).all()
            assert (counts <= np.ceil(wanted)).all()
            total += counts
        assert total / 400 == pytest.approx(wanted, abs=0.1)

    def test_equal_factors_are_epochs_of_all_rows(self):
        batches = Batches(7, 7, 7, repeats=np.full(7, 3.7))
        assert all(sorted(batches.at(epoch).tolist()) == list(range(7)) for epoch in range(50))

    @pytest.mark.parametrize("of", ["both", "synthetic", "real"])
    def test_the_kinds_asked_for_are_drawn_so_and_keep_their_part(self, both, of):
        seen = rows(both, 1600, synthetic_share=None, rare_organs=RareOrgansSettings(0.05, of))
        counts = np.bincount(np.concatenate(seen), minlength=REAL + SYNTHETIC) / 400
        kinds = {"real": slice(None, REAL), "synthetic": slice(REAL, None)}
        for kind, slices in kinds.items():
            assert counts[slices].sum() == pytest.approx(len(counts[slices]), abs=0.1)
            mine = both.parts[kind == "synthetic"].labels
            pixels = np.stack([np.bincount(labels.ravel(), minlength=4)[1:] for labels in mine])
            factors = repeat_factors(pixels, 0.05) if of in ("both", kind) else np.ones(len(mine))
            assert counts[slices] == pytest.approx(factors / factors.mean(), abs=0.1)
            assert factors.max() > 3 or of not in ("both", kind)

    def test_they_go_with_a_share(self, both):
        seen = rows(both, 300, rare_organs=RareOrgansSettings(0.05, "synthetic"), synthetic_share=0.25)
        counts = np.bincount(np.concatenate(seen), minlength=REAL + SYNTHETIC)
        assert counts[:REAL].sum() == 900
        assert counts[:REAL].max() - counts[:REAL].min() <= 1
        assert counts[REAL] > 3 * counts[-1]


@pytest.mark.parametrize(
    "keys",
    [
        {"synthetic_share": 0.3},
        {"synthetic_first": 0.5, "rare_organs": RareOrgansSettings(0.05, "both")},
        {"rare_organs": RareOrgansSettings(0.05, "synthetic")},
    ],
)
class TestResume:
    def test_a_step_sees_the_same_whatever_was_asked_before(self, both, keys):
        straight = rows(both, 20, **keys)
        for first in (7, 13):
            late = batches_of(both, settings(**keys), 3)
            assert [late.at(step).tolist() for step in range(first, 20)] == straight[first:]
        other = batches_of(both, settings(**keys), 4)
        assert [other.at(step).tolist() for step in range(20)] != straight


def test_a_stopped_training_goes_on_to_the_same_averaged_weights(both, tmp_path, monkeypatch):
    def fit(resume: Path | None = None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        segmenter = Segmenter(settings(steps=6, synthetic_first=0.5, ema_decay=0.9), 4, torch.device("cpu"))
        segmenter.fit(both, 1, Run(tmp_path / "losses.csv", Resume(resume, every=0)))
        return segmenter.net.state_dict()

    straight, saves = fit(), stop_at_save(monkeypatch, 4)
    with pytest.raises(Stopped):
        fit(tmp_path / "state.pt")
    resumed = fit(tmp_path / "state.pt")
    assert len(saves) == 6
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_averaged_weights_segment_with_their_averaged_statistics(both, tmp_path):
    """In evaluation, where batch norm uses the running statistics, the average is as good as the last weights."""
    losses = {}
    for decay in (None, 0.9):
        torch.manual_seed(0)
        still = AugmentationSettings(rotate=0, scale=0, shift=0)
        segmenter = Segmenter(settings(steps=40, ema_decay=decay, augmentation=still), 4, torch.device("cpu"))
        before = {name: value.clone() for name, value in segmenter.net.state_dict().items()}
        segmenter.fit(both, 1, Run(tmp_path / "losses.csv"))
        state = segmenter.net.state_dict()
        spreads = [name for name in state if name.endswith("running_var")]
        # a network of depth 3 leaves the deepest layers of its encoder unused
        assert sum(not torch.equal(state[name], before[name]) for name in spreads) > 5
        assert all(torch.isfinite(value).all() for value in state.values())
        assert int(next(value for name, value in state.items() if name.endswith("num_batches_tracked"))) == 40
        segmenter.net.eval()
        hu, truth = both.batch(torch.arange(REAL + SYNTHETIC))
        with torch.no_grad():
            losses[decay] = float(segmentation_loss(segmenter.net(segmenter._input(hu)).float(), truth.long()))
    assert losses[0.9] < 1.2 * losses[None]


@pytest.fixture
def config():
    found = yaml.safe_load((ROOT / "config.yaml").read_text())
    validate(found)
    return found


class TestConfig:
    def test_a_set_depends_on_what_it_uses_alone(self, config):
        (original,), (combined, *_), (pivm, *_) = (training_sets(config, n) for n in ("original", "combined", "pivm"))
        before = {one.folder: segmenter_settings(config, one) for one in (original, combined, pivm)}
        assert "rare_organs" not in before[original.folder]
        config["segmentation"]["synthetic_share"] = 0.25
        changed = [one.folder for one in (original, combined, pivm) if differs(config, one, before)]
        assert changed == [combined.folder]
        config["segmentation"] |= {"synthetic_share": None, "synthetic_first": 0.5}
        assert [one.folder for one in (original, combined, pivm) if differs(config, one, before)] == [combined.folder]
        config["segmentation"] |= {"synthetic_share": 0.5, "synthetic_first": 0.0}
        config["segmentation"]["rare_organs"] = {"threshold": 0.0, "of": "real"}
        assert not any(differs(config, one, before) for one in (original, combined, pivm))
        for of, those in (("real", [original, combined]), ("synthetic", [combined, pivm])):
            config["segmentation"]["rare_organs"] = {"threshold": 0.01, "of": of}
            assert [one for one in (original, combined, pivm) if differs(config, one, before)] == those

    def test_the_order_of_the_keys_in_a_config_is_none_of_the_settings(self, config):
        def settings_of_arms() -> list[str]:
            sets = [one for sets in evidence.arms(config).values() for one in sets]
            return [json.dumps(segmenter_settings(config, one)) for one in sets]

        before = settings_of_arms()
        config["segmentation"] = dict(reversed(config["segmentation"].items()))
        config["segmentation"]["augmentation"] = dict(reversed(config["segmentation"]["augmentation"].items()))
        assert settings_of_arms() == before

    def test_the_settings_of_a_set_are_those_of_a_segmenter(self, config):
        for sets in evidence.arms(config).values():
            for one in sets:
                read_settings(SegmenterSettings, segmenter_settings(config, one), "segmentation")

    def test_arms_differ_from_the_arm_that_they_are_held_against_by_what_they_say(self, config):
        config["segmentation"]["synthetic_share"] = 0.2
        arms = {arm: segmenter_settings(config, sets[0]) for (_, arm), sets in evidence.arms(config).items()}

        def difference(arm: str, other: str) -> dict:
            keys = arms[arm].keys() | arms[other].keys()
            return {k: arms[arm].get(k) for k in keys if arms[arm].get(k) != arms[other].get(k)}

        assert difference("pretrained", "labels_only") == {"synthetic_first": 0.5}
        assert arms["labels_only"]["synthetic_share"] is None
        assert difference("half", "labels_only") == {"synthetic_share": 0.5}
        assert difference("rare", "labels_only") == {"rare_organs": {"threshold": 0.01, "of": "synthetic"}}
        assert difference("rare_real", "real") == {"rare_organs": {"threshold": 0.01, "of": "real"}}
        light = difference("real_light", "real")
        assert light == {"augmentation": {**config["segmentation"]["augmentation"], "kind": "light"}}


def differs(config: dict, one: TrainingSet, before: dict) -> bool:
    return segmenter_settings(config, one) != before[one.folder]
