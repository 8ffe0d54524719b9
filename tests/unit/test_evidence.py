"""What synthetic slices are worth: draws, arms, differences and the sentence."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.store import LabelStore, SliceStore
from pivm.config import evidence, validate
from pivm.errors import CohortError, ConfigError
from pivm.evaluation.evidence import EVIDENCE, SAME, SHIFTED, evidence_table, loss_sentence, patients_needed, sentence
from pivm.report.evidence_figure import plot_evidence
from pivm.report.evidence_table import _shape, arm_title, write_evidence
from pivm.report.words import PHANTOM, REAL
from pivm.segmentation.arms import ARMS, EvidenceSettings
from pivm.segmentation.other_scanner import ShiftSettings
from pivm.synthesis.label_sources import apportion, labels_alone, slices_by_source
from pivm.synthesis.slices import choose_sources

ROOT = Path(__file__).parents[2]

SCORES = st.floats(0.05, 0.95)


@pytest.fixture
def config():
    found = yaml.safe_load((ROOT / "config.yaml").read_text())
    validate(found)
    return found


def cases_of(
    dice: dict[tuple[int, str], float], patients: int = 12, sd: float = 0.01, test: str = SAME
) -> pd.DataFrame:
    """Cases of two organs, one of them small; the arms of a draw differ by what is told and little noise."""
    rng, rows = np.random.default_rng(5), []
    level = rng.normal(0, 0.03, patients)
    for (annotated, arm), mean in dice.items():
        for patient in range(patients):
            for seed in (1, 2):
                for label, voxels, shift in (("liver", 900, 0.05), ("spleen", 800, 0.05), ("adrenal", 9, -0.1)):
                    score = mean + shift + level[patient] + rng.normal(0, sd)
                    generator_seed = None if arm == "real" else 1
                    rows.append((annotated, 1.0, arm, generator_seed, seed, f"p{patient}", "s", label, score, voxels))
    columns = ["annotated", "steps", "method", "generator_seed", "segmenter_seed", "patient", "scan", "label", "dice"]
    return pd.DataFrame(rows, columns=[*columns, "truth_voxels"]).assign(test=test)


class TestWorth:
    @given(st.lists(st.integers(1, 60), min_size=2, max_size=6, unique=True), st.data())
    def test_a_score_on_the_curve_needs_its_own_patients(self, patients, data):
        scores = sorted(data.draw(st.lists(SCORES, min_size=len(patients), max_size=len(patients), unique=True)))
        curve = dict(zip(sorted(patients), scores, strict=True))
        for n, score in curve.items():
            assert patients_needed(curve, score) == pytest.approx(n)
        for (n, low), (m, high) in pairwise(curve.items()):
            assert n - 1e-9 <= patients_needed(curve, (low + high) / 2) <= m + 1e-9
        assert math.isinf(patients_needed(curve, scores[-1] + 0.01))
        assert patients_needed(curve, scores[0] - 0.01) == min(patients)

    def test_a_curve_that_falls_counts_as_level(self):
        assert patients_needed({2: 0.6, 4: 0.5, 8: 0.7}, 0.6) == 2
        assert 4 < patients_needed({2: 0.6, 4: 0.5, 8: 0.7}, 0.65) < 8


DICE = {
    **{(4, "real"): 0.60, (4, "labels_only"): 0.65, (8, "real"): 0.65, (8, "labels_only"): 0.651},
    **{(24, "real"): 0.70, (24, "same_labels"): 0.70},
}


class TestTable:
    @pytest.fixture
    def table(self):
        return evidence_table(cases_of(DICE), "real", 0.95)

    def test_numbers_are_those_of_the_cases(self, table):
        assert list(table.columns) == EVIDENCE
        row = table[(table["organs"] == "all") & (table["annotated"] == 4) & (table["arm"] == "labels_only")].iloc[0]
        cases = cases_of(DICE)
        mine = cases[(cases["annotated"] == 4)].groupby("method")["dice"].mean()
        assert row["mean"] == pytest.approx(mine["labels_only"])
        assert row["difference"] == pytest.approx(mine["labels_only"] - mine["real"])
        assert row["difference_low"] < row["difference"] < row["difference_high"]
        # 0.65 is what eight patients reach without
        assert row["worth"] == pytest.approx(4, abs=0.6)
        small = table[(table["organs"] == "small") & (table["annotated"] == 4)].set_index("arm")
        adrenal = cases[(cases["annotated"] == 4) & (cases["label"] == "adrenal")].groupby("method")["dice"].mean()
        assert small["mean"].to_dict() == pytest.approx(adrenal.to_dict())

    def test_the_sentence_claims_what_holds_alone(self, table):
        said = sentence(table, ["labels_only", "same_labels"], 0.95, lambda arm: arm)
        first, second, third = said.removesuffix(".").split(". With ")
        assert first.startswith("With 4 annotated patients, labels_only adds +0.0")
        assert "as much as 4 more annotated patients" in first
        assert "add nothing that 12 test patients can show" in second
        assert "add nothing that 12 test patients can show" in third

    def test_one_patient_is_one_patient(self):
        gains = {(4, "real"): 0.5, (4, "labels_only"): 0.57, (5, "real"): 0.6, (5, "labels_only"): 0.6}
        table = evidence_table(cases_of(gains), "real", 0.95)
        said = sentence(table, ["labels_only"], 0.95, lambda arm: arm)
        assert re.search(r": as much as 1 more annotated patient \(\d to (more than )?\d\)", said)
        assert "; +1 patient)" in _shape(table, 0.95, PHANTOM, "%s", {"higher": "up"}).to_string()

    def test_the_order_of_the_arms_does_not_matter(self, table):
        cases = cases_of(DICE)
        turned = evidence_table(cases.iloc[::-1], "real", 0.95)
        keys = ["annotated", "organs", "arm"]
        one, other = (t.set_index(keys).sort_index() for t in (table, turned))
        assert other["difference"].to_numpy() == pytest.approx(one["difference"].to_numpy(), nan_ok=True)
        assert other["p_holm"].to_numpy() == pytest.approx(one["p_holm"].to_numpy(), nan_ok=True)

    def test_nothing_is_said_beyond_the_largest_draw(self):
        """One draw, or the largest, does not tell what a gain is worth; a smaller one tells it up to there."""
        gains = {(4, "real"): 0.5, (4, "labels_only"): 0.8, (8, "real"): 0.6, (8, "labels_only"): 0.8}
        for draws, worth in (((8,), ""), ((4, 8), ": as much as more than 4 more annotated patients")):
            table = evidence_table(cases_of({k: v for k, v in gains.items() if k[0] in draws}), "real", 0.95)
            first, *rest = sentence(table, ["labels_only"], 0.95, lambda arm: arm).split(". With ")
            assert first.removesuffix(".").endswith(f"]{worth}")
            assert all(said.removesuffix(".").endswith("]") for said in rest)
            assert table.loc[table["annotated"] == 8, "worth"].isna().all()
            text = _shape(table, 0.95, PHANTOM, "%s", {"higher": "up"}).to_string()
            assert ("more than +4 patients" in text) == (4 in draws)
            assert "inf" not in text

    def test_the_largest_draw_is_that_of_the_curve(self):
        """Where all patients keep their CT there is no arm of label maps without: the curve still goes that far."""
        gains = {(4, "real"): 0.5, (4, "labels_only"): 0.8, (24, "real"): 0.6}
        table = evidence_table(cases_of(gains), "real", 0.95)
        said = sentence(table, ["labels_only"], 0.95, lambda arm: arm)
        assert ": as much as more than 20 more annotated patients" in said

    @given(st.lists(st.floats(0.3, 0.6), min_size=3, max_size=3), st.floats(0.01, 0.2))
    def test_no_gain_is_worth_fewer_patients(self, scores, gain):
        dice = {(n, "real"): score for n, score in zip((4, 8, 16), scores, strict=True)}
        dice |= {(n, "labels_only"): score + gain for (n, _), score in dice.items()}
        rows = evidence_table(cases_of(dice), "real", 0.95).query("difference > 0")
        assert (rows["worth"].dropna() >= 0).all()

    def test_a_loss_is_no_gain(self):
        table = evidence_table(cases_of({(4, "real"): 0.6, (4, "labels_only"): 0.5}), "real", 0.95)
        assert "add nothing" in sentence(table, ["labels_only"], 0.95, lambda arm: arm)

    def test_one_test_patient_gives_no_interval(self, tmp_path):
        """And no word of one, in no form."""
        cases = cases_of({(1, "real"): 0.3, (1, "labels_only"): 0.4}, patients=1).query("segmenter_seed == 1")
        table = evidence_table(cases, "real", 0.95)
        outputs = type("Outputs", (), {f: tmp_path / f"evidence.{f}" for f in ("csv", "md", "tex", "html")})
        write_evidence(table, 0.95, PHANTOM, None, outputs)
        for form in ("md", "tex", "html"):
            text = (tmp_path / f"evidence.{form}").read_text()
            assert "nan" not in text.lower().replace("annotated", "")
            assert "1 test patient and 1 segmenter seed" in text
            assert "one test patient gives no interval and no test of what synthetic slices add" in text

    def test_it_is_written_in_all_forms(self, table, tmp_path):
        outputs = type("Outputs", (), {f: tmp_path / f"evidence.{f}" for f in ("csv", "md", "tex", "html")})
        write_evidence(table, 0.95, PHANTOM, None, outputs)
        text = (tmp_path / "evidence.md").read_text()
        assert "With 4 annotated patients, + synthetic, label maps without CT adds" in text
        assert "phantom slices alone" in text
        assert "real" not in text
        assert "scanner" not in text
        assert "| – " in text  # no arm of label maps where all patients keep their CT
        plot_evidence(table, 0.95, PHANTOM, tmp_path / "evidence.png")
        assert (tmp_path / "evidence.png").stat().st_size > 10_000

    def test_a_draw_without_another_arm_does_not_stretch_the_differences(self, tmp_path, kept_figures):
        dice = {key: mean for key, mean in DICE.items() if key != (24, "same_labels")}
        table = evidence_table(cases_of(dice), "real", 0.95)
        plot_evidence(table, 0.95, PHANTOM, tmp_path / "evidence.png")
        panels = [axis for axis in kept_figures[0].axes if axis.get_xlabel() == "difference in Dice"]
        assert "24 annotated" not in {axis.get_title() for axis in panels}
        assert table["difference_high"].max() < 0.1
        assert all(axis.get_xlim()[1] < 0.2 for axis in panels), "an empty axis ends at 1"


# half the level, where label maps of others gain more: 0.35 is half way from 0.30 to 0.40
ELSEWHERE = {(4, "real"): 0.30, (4, "labels_only"): 0.35, (8, "real"): 0.40, (8, "labels_only"): 0.48}


class TestAnotherScanner:
    @pytest.fixture
    def cases(self):
        same = {key: mean for key, mean in DICE.items() if key[0] < 24}
        return pd.concat([cases_of(same), cases_of(ELSEWHERE, test=SHIFTED)], ignore_index=True)

    @pytest.fixture
    def table(self, cases):
        return evidence_table(cases, "real", 0.95)

    def test_each_test_is_a_table_of_its_own(self, cases, table):
        assert list(dict.fromkeys(table["test"])) == [SAME, SHIFTED]
        for test, part in table.groupby("test"):
            alone = evidence_table(cases[cases["test"] == test], "real", 0.95)
            pd.testing.assert_frame_equal(part.reset_index(drop=True), alone)

    def test_what_a_gain_is_worth_is_read_off_the_curve_of_its_own_test(self, table):
        row = table[(table["organs"] == "all") & (table["annotated"] == 4) & (table["arm"] == "labels_only")]
        worth = row.set_index("test")["worth"]
        assert worth[SAME] == pytest.approx(4, abs=0.6)
        assert worth[SHIFTED] == pytest.approx(4 * 2**0.5 - 4, abs=0.3)

    def test_the_sentences_speak_of_both(self, table):
        said = sentence(table, ["labels_only"], 0.95, lambda arm: arm)
        first, second, third, fourth = said.replace("On another scanner, with", "With (other)").split(". With ")
        assert first.startswith("With 4 annotated patients, labels_only adds +0.0")
        assert second.startswith("8 annotated patients, synthetic slices add nothing")
        assert third.startswith("(other) 4 annotated patients, labels_only adds +0.0")
        assert fourth.startswith("(other) 8 annotated patients, labels_only adds +0.0")

    def test_the_loss_of_real_slices_is_told(self, table):
        means = table[(table["organs"] == "all") & (table["arm"] == "real")].set_index(["test", "annotated"])["mean"]
        least, most = sorted(means[SHIFTED, n] - means[SAME, n] for n in (4, 8))
        said = f"On another scanner, Dice of real changes by {least:+.3f} to {most:+.3f}."
        assert loss_sentence(table, "real", str) == said
        assert loss_sentence(table[table["test"] == SAME], "real", str) == ""

    def test_table_and_figure_show_both(self, table, tmp_path):
        outputs = type("Outputs", (), {f: tmp_path / f"evidence.{f}" for f in ("csv", "md", "tex", "html")})
        write_evidence(table, 0.95, PHANTOM, ShiftSettings(noise_hu=12), outputs)
        text = (tmp_path / "evidence.md").read_text()
        headings = [line.split("|")[1].strip() for line in text.splitlines() if "↑" in line]
        assert headings == [
            *("All organs: Dice ↑", "Small organs: Dice ↑"),
            *("All organs, another scanner: Dice ↑", "Small organs, another scanner: Dice ↑"),
        ]
        assert "have 0.6 times as much above 40 HU" in text
        assert "noise of 12 HU" in text
        assert "On another scanner, Dice of phantom slices alone changes by -0.3" in text
        assert "\n\nOn another scanner, with 4 annotated patients, + synthetic, label maps without CT adds" in text
        plot_evidence(table, 0.95, PHANTOM, tmp_path / "evidence.png")
        assert (tmp_path / "evidence.png").stat().st_size > 10_000


class TestConfig:
    def test_another_scanner_can_be_left_out(self, config):
        assert evidence.tests(config) == {"same": "", "shifted": "_shifted"}
        config["evidence"]["shifted"] = None
        validate(config)
        assert evidence.tests(config) == {"same": ""}

    def test_arms_of_the_settings_are_those_that_there_are(self):
        assert EvidenceSettings().arms == tuple(ARMS)
        assert all(arm_title(arm, REAL) for arm in ARMS)
        assert arm_title("real", REAL) == "real slices alone"
        assert arm_title("real", PHANTOM) == "phantom slices alone"

    def test_all_arms_of_a_length_take_equal_steps(self, config):
        for (multiple, _), training_sets in evidence.arms(config).items():
            steps = {one.overrides["steps"] for one in training_sets}
            assert steps == {round(multiple * config["segmentation"]["steps"])}

    def test_label_maps_of_others_are_none_where_all_keep_their_ct(self, config):
        points = evidence.points(config, has_label_maps=False)
        last = len(config["evidence"]["patients"]) - 1
        assert {"labels_only", "cddpm", "gaussian"}.isdisjoint(arm for place, _, arm, _ in points if place == last)
        everywhere = evidence.points(config, has_label_maps=True)
        assert "labels_only" in {arm for place, _, arm, _ in everywhere if place == last}

    def test_the_draw_of_the_run_is_not_made_twice(self, config):
        config["split"]["annotated"] = "all"
        assert evidence.draws(config)[-1] == ""
        config["split"]["annotated"] = 8
        assert evidence.draws(config)[2] == ""
        assert evidence.draws(config)[-1] == "evidence/annotated_all/"

    def test_an_arm_of_a_generator_that_is_not_there(self, config):
        del config["generators"]["gaussian"]
        with pytest.raises(ConfigError, match="'gaussian' is of the generator 'gaussian', which `generators` does not"):
            evidence.require_arms(config)

    @pytest.mark.parametrize("arms", [["same_labels", "augmented"], ["real"], ["real", "labels_onyl"]])
    def test_arms_without_reference_or_of_other_names_are_refused(self, config, arms):
        config["evidence"]["arms"] = arms
        with pytest.raises(ConfigError, match=r"evidence\.arms"):
            validate(config)

    def test_shares_of_nothing_are_refused(self, config):
        config["synthesis"]["sources"] = dict.fromkeys(("train", "augmented", "labels_only"), 0)
        with pytest.raises(ConfigError, match=r"synthesis\.sources"):
            validate(config)


class TestLabelSources:
    @given(st.integers(1, 500), st.lists(st.floats(0, 5), min_size=1, max_size=4).filter(any))
    def test_shares_sum_up(self, count, shares):
        named = {str(i): share for i, share in enumerate(shares)}
        found = apportion(count, named)
        assert sum(found.values()) == count
        for name, number in found.items():
            assert abs(number - count * named[name] / sum(shares)) < 1

    def test_nothing_but_labels_of_a_drawn_patient_is_used(self, tmp_path):
        """Another CT and another outline give the same label maps and the same outline."""
        found = []
        for seed in (1, 2):
            rng, size = np.random.default_rng(seed), 16
            labels = np.zeros((4, size, size), np.uint8)
            labels[:, 4:9, 5:12] = 3
            index = pd.DataFrame(
                {"subject": list("aabb"), "patient": list("aabb"), "split": "train", "z": [3, 7, 2, 5]}
            )
            index = index.assign(role="target", previous=-1, pixel_mm=5.0, step_mm=20.0, below_mm=5.0)
            arrays = {
                "hu": rng.integers(-1000, 1000, labels.shape).astype(np.int16),
                "labels": labels,
                "body": rng.random(labels.shape) > 0.5,
            }
            arrays["body"][:2] = np.pad(labels[:2, 2:11, 3:14] >= 0, ((0, 0), (2, 5), (3, 2)))  # the training patient's
            SliceStore.write(tmp_path / f"store_{seed}", [(index, arrays)], size)
            store = SliceStore(tmp_path / f"store_{seed}", {"a": "train", "b": "labels_only"})
            split = pd.DataFrame({"subject": ["a", "b"], "split": ["train", "labels_only"], "source": "random"})
            LabelStore.write(tmp_path / f"maps_{seed}", labels_alone(store, split, {}, True), size)
            maps = LabelStore(tmp_path / f"maps_{seed}")
            assert maps.index["subject"].tolist() == ["b", "b"]
            assert maps.rows("labels_only").tolist() == [0, 1]
            found.append((np.array(maps.labels), np.array(maps.body)))
        for one, other in zip(*found, strict=True):
            assert np.array_equal(one, other)
        assert found[0][1][:, 4:9, 5:12].all()
        assert not found[0][1].all()

    def test_no_label_map_at_all(self, tmp_path):
        """Refused where they are asked for; no slice, and a store that says so, where they may be missing."""
        labels = np.ones((2, 16, 16), np.uint8)
        index = pd.DataFrame(
            {"subject": ["a", "a"], "patient": "a", "split": "train", "role": "target", "previous": -1}
        )
        arrays = {"hu": labels.astype(np.int16), "labels": labels, "body": labels > 0}
        SliceStore.write(tmp_path / "store", [(index, arrays)], 16)
        store, split = (
            SliceStore(tmp_path / "store"),
            pd.DataFrame({"subject": ["a"], "split": ["train"], "source": "random"}),
        )
        with pytest.raises(CohortError, match="no subject has labels alone"):
            list(labels_alone(store, split, {}, True))
        LabelStore.write(tmp_path / "maps", labels_alone(store, split, {}, False), 16)
        rows = LabelStore.checked(tmp_path / "maps").rows("labels_only")
        assert len(rows) == 0
        with pytest.raises(CohortError, match="no subject has labels alone"):
            choose_sources(rows, 1, 1)

    @given(st.integers(1, 300), st.integers(0, 600), st.sampled_from(["auto", "as_real", 7, 500]), st.floats(0, 2))
    def test_auto_takes_each_label_map_without_ct_once_before_the_rest_is_shared(
        self, train, others, slices, augmented
    ):
        shares = {"train": 1.0, "augmented": augmented, "labels_only": "auto"}
        found = slices_by_source(slices, shares, {"train": train, "labels_only": others})
        total = {"auto": max(train, others), "as_real": train}.get(slices, slices)
        assert sum(found.values()) == total
        assert found.get("labels_only", 0) == min(others, total)
        rest = total - found.get("labels_only", 0)
        assert found.get("train", 0) == pytest.approx(rest / (1 + augmented), abs=1)

    @given(st.integers(1, 300), st.integers(1, 600), st.floats(0.1, 5), st.sampled_from(["auto", "as_real"]))
    def test_with_shares_of_ones_own_there_are_as_many_slices_as_real_ones(self, train, others, share, slices):
        shares = {"train": 1.0, "labels_only": share}
        found = slices_by_source(slices, shares, {"train": train, "labels_only": others})
        assert found == {k: n for k, n in apportion(train, shares).items() if n}
