"""Pairs of methods, Holm's correction, balanced scores from cases, and sentences."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.evaluation.crossed import CrossedScores, crossed_mean
from pivm.evaluation.crossing import cross_scores
from pivm.evaluation.pairs import compare_pairs, holm
from pivm.evaluation.sentences import MetricWords, sentences
from scipy import stats

LEVEL = 0.95
DICE = MetricWords("Dice", "", "higher", 3)
ASD = MetricWords("Average surface distance", "mm", "lower", 1)


def per_patient(values) -> CrossedScores:
    return CrossedScores(np.asarray(values, float)[:, None, None], ("patient",))


# --- Holm ------------------------------------------------------------------------------------------------------------


def test_holm_by_hand():
    """The smallest of four times 4, the next times 3, and none below the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_order_and_lies_between_p_and_bonferroni(p):
    p = np.array(p)
    found = holm(p)
    assert (found >= p).all()
    assert (found <= np.minimum(len(p) * p, 1) + 1e-15).all()
    assert found[np.argmin(p)] == pytest.approx(min(1, len(p) * p.min()))
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_controls_the_chance_of_any_false_claim():
    """Six pairs of four methods that do not differ: some p is below 0.05 in 20 % of trials, Holm's in 5 %."""
    rng = np.random.default_rng(0)
    plain = corrected = 0
    for _ in range(1500):
        patients = rng.normal(0, 1, 12)
        pairs = compare_pairs({name: per_patient(patients + rng.normal(0, 0.3, 12)) for name in "abcd"}, LEVEL)
        plain += min(pair.p for pair in pairs) < 0.05
        corrected += min(pair.p_holm for pair in pairs) < 0.05
    assert plain / 1500 > 0.15
    assert corrected / 1500 < 0.065


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_pairs_are_paired_t_tests_of_every_method_with_every_other():
    rng = np.random.default_rng(1)
    patients = rng.normal(0.7, 0.1, 12)
    values = {name: patients + rng.normal(shift, 0.02, 12) for name, shift in (("a", 0), ("b", 0.01), ("c", 0.03))}
    pairs = compare_pairs({name: per_patient(v) for name, v in values.items()}, LEVEL)
    assert [(pair.method, pair.reference) for pair in pairs] == [("b", "a"), ("c", "a"), ("c", "b")]
    for pair in pairs:
        test = stats.ttest_rel(values[pair.method], values[pair.reference])
        ends = test.confidence_interval(LEVEL)
        assert pair.p == pytest.approx(test.pvalue)
        assert (pair.difference.low, pair.difference.high) == pytest.approx((ends.low, ends.high))
        assert pair.difference.mean == pytest.approx((values[pair.method] - values[pair.reference]).mean())
        assert pair.p_holm >= pair.p
    # patients differ more than methods do: the paired interval is the narrower one
    unpaired = crossed_mean(per_patient(values["c"]), LEVEL, "identity")
    assert pairs[1].difference.high - pairs[1].difference.low < (unpaired.high - unpaired.low) / 2


def test_pairs_with_seeds_and_with_real_slices():
    """Real slices have no generator seed: they are set against each seed of the generator."""
    rng = np.random.default_rng(2)
    generated = CrossedScores(rng.normal(0.7, 0.05, (12, 3, 2)))
    real = CrossedScores(rng.normal(0.6, 0.05, (12, 1, 2)), ("patient", "segmenter_seed"))
    (pair,) = compare_pairs({"original": real, "generated": generated}, LEVEL)
    assert pair.difference.mean == pytest.approx(generated.values.mean() - real.values.mean())
    assert (pair.difference.generator_seeds, pair.difference.segmenter_seeds, pair.difference.unknown) == (3, 2, ())
    single = CrossedScores(generated.values[:, :1])
    (pair,) = compare_pairs({"original": real, "generated": single}, LEVEL)
    assert pair.difference.unknown == ("generator_seed",)
    with pytest.raises(ValueError, match="3 and 1 values of generator_seed"):
        compare_pairs({"a": single, "b": generated}, LEVEL)
    with pytest.raises(ValueError, match="of patient"):
        compare_pairs({"a": per_patient([1, 2]), "b": per_patient([1, 2, 3])}, LEVEL)


def test_paired_difference_with_seeds_covers_what_it_claims():
    """Two generators, 3 trainings each, 2 segmenter seeds: trainings differ by as much as patients do."""
    rng = np.random.default_rng(3)
    hits, count = 0, 4000
    for _ in range(count):
        patients = rng.normal(0, 1, (12, 1, 1))
        a, b = (
            patients + 0.1 * rng.normal(size=(1, 3, 1)) + 0.1 * rng.normal(size=(1, 3, 2))
            + 0.3 * rng.normal(size=(12, 1, 1)) + 0.1 * rng.normal(size=(12, 3, 2))
            for _ in range(2)
        )  # fmt: skip
        (pair,) = compare_pairs({"a": CrossedScores(a), "b": CrossedScores(b)}, LEVEL)
        hits += pair.difference.low <= 0 <= pair.difference.high
    assert hits / count == pytest.approx(LEVEL, abs=0.02)


def test_one_patient_has_differences_but_no_test():
    (pair,) = compare_pairs({"a": per_patient([0.5]), "b": per_patient([0.6])}, LEVEL)
    assert (pair.difference.mean, pair.p, pair.p_holm) == (pytest.approx(0.1), None, None)
    same = compare_pairs({"a": per_patient([0.5, 0.6]), "b": per_patient([0.5, 0.6])}, LEVEL)
    assert same[0].p == 1


# --- scores per case -------------------------------------------------------------------------------------------------


def case_table() -> pd.DataFrame:
    """Two generators with two trainings and two segmenter seeds, and real slices; score = a code of the case."""
    rows = []
    for method, generator_seeds in (("original", [None]), ("pivm", [1, 2]), ("cddpm", [1, 2])):
        for patient, label, g, s in itertools.product(("p1", "p2", "p3"), ("liver", "spleen"), generator_seeds, (1, 2)):
            score = int(patient[1]) + 0.1 * (label == "spleen") + 0.01 * (g or 0) + 0.001 * s
            rows.append((method, patient, label, g, s, score))
    return pd.DataFrame(rows, columns=["method", "patient", "label", "generator_seed", "segmenter_seed", "dice"])


def test_cases_become_balanced_arrays():
    cases = case_table().sample(frac=1, random_state=0)
    table = cross_scores(cases, "dice")
    assert set(table.patients) == {"p1", "p2", "p3"}
    assert table.scores["pivm"].values.shape == (3, 2, 2)
    assert table.scores["original"].values.shape == (3, 1, 2)
    assert table.scores["original"].sources == ("patient", "segmenter_seed")
    for p, g, s in itertools.product(range(3), range(2), range(2)):
        expected = int(table.patients[p][1]) + 0.05 + 0.01 * (g + 1) + 0.001 * (s + 1)
        assert table.scores["pivm"].values[p, g, s] == pytest.approx(expected)
    assert (table.patients_left_out, table.cases_left_out) == ((), 0)


def test_methods_are_averaged_over_the_cases_that_all_have():
    """A method that misses the hard organ of a patient must not gain by it."""
    cases = case_table()
    missing = (cases["method"] == "cddpm") & (cases["generator_seed"] == 2) & (cases["segmenter_seed"] == 1)
    cases.loc[missing & (cases["patient"] == "p1") & (cases["label"] == "spleen"), "dice"] = None
    cases.loc[missing & (cases["patient"] == "p2"), "dice"] = None
    table = cross_scores(cases, "dice")
    assert table.patients == ("p1", "p3")
    assert table.patients_left_out == ("p2",)
    assert table.cases_left_out == pytest.approx(0.5)
    assert table.scores["original"].values[0].mean() == pytest.approx(1 + 0.0015)


def test_scores_per_patient_and_broken_tables():
    cases = case_table().groupby(["method", "patient", "segmenter_seed"], as_index=False)["dice"].mean()
    cases["generator_seed"] = np.nan
    table = cross_scores(cases, "dice")
    assert table.scores["pivm"].sources == ("patient", "segmenter_seed")
    with pytest.raises(ValueError, match="twice"):
        cross_scores(pd.concat([cases, cases]), "dice")
    full = case_table()
    last = (full["method"] == "pivm") & (full["generator_seed"] == 2) & (full["segmenter_seed"] == 2)
    with pytest.raises(ValueError, match="every combination"):
        cross_scores(full[~last], "dice")
    full["dice"] = None
    with pytest.raises(ValueError, match="no case"):
        cross_scores(full, "dice")


# --- sentences -------------------------------------------------------------------------------------------------------


def statements(words: MetricWords, scores: dict[str, CrossedScores], scale: str) -> list[str]:
    means = {name: crossed_mean(s, LEVEL, scale) for name, s in scores.items()}
    return sentences(words, means, compare_pairs(scores, LEVEL), LEVEL)


def test_sentences_say_what_holds_and_what_does_not():
    patients = np.linspace(0.6, 0.8, 12)
    noise = 0.004 * np.tile([-1, 1], 6)
    scores = {"cddpm": per_patient(patients), "pivm": per_patient(patients + 0.03 + noise),
              "maisi": per_patient(patients + 0.001 + noise[::-1])}  # fmt: skip
    found = statements(DICE, scores, "logit")
    assert len(found) == 3
    assert re.fullmatch(
        r"Dice of pivm is better than that of cddpm: \+0\.030 \(\+0\.027 to \+0\.033\), 12 patients, p < 0\.001 after "
        r"Holm's correction for 3 pairs\.", found[0],
    )  # fmt: skip
    assert found[1].startswith("Dice of maisi is worse than that of pivm: -0.029 (")
    assert found[2].startswith("Dice of maisi and cddpm: no difference holds at 95 %: +0.001 (-0.002 to +0.004)")
    assert "nor does equality" in found[2]


def test_sentences_know_which_way_is_better_and_the_unit():
    patients = np.linspace(3, 9, 12)
    scores = {"a": per_patient(patients), "b": per_patient(patients - 2 + 0.1 * np.tile([-1, 1], 6))}
    (found,) = statements(ASD, scores, "log")
    assert (
        found
        == "Average surface distance of b is better than that of a: -2.0 mm (-2.1 to -1.9), 12 patients, p < 0.001."
    )


def test_sentences_name_what_the_correction_takes_back():
    base, noise = np.linspace(0.6, 0.8, 12), 0.02 * np.tile([-1, 1, 1, -1], 3)
    # t = 2.4 with 11 degrees of freedom: p = 0.035, and three pairs
    scores = {"a": per_patient(base), "b": per_patient(base + noise + 2.4 * 0.02 / np.sqrt(11)),
              "c": per_patient(base + 0.007 + 2 * noise[::-1] * np.repeat([-1, 1], 6))}  # fmt: skip
    pairs = compare_pairs(scores, LEVEL)
    assert pairs[0].p < 0.05 < pairs[0].p_holm
    found = statements(DICE, scores, "logit")
    assert any("alone this pair would differ, among 3 pairs that may be chance" in line for line in found)


def test_sentences_admit_one_training_and_one_patient():
    rng = np.random.default_rng(6)
    scores = {name: CrossedScores(rng.uniform(0.6, 0.8, (12, 1, 2))) for name in ("cddpm", "pivm")}
    found = statements(DICE, scores, "logit")
    assert found[-1] == (
        "Dice of cddpm and pivm comes from one training of the generator: at 95 % it holds for new patients and that "
        "training, and how much another training would differ is not known."
    )
    assert statements(DICE, {"a": per_patient([0.5]), "b": per_patient([0.6])}, "logit") == [
        "Dice of a and b: one patient gives no interval."
    ]


def test_no_minus_zero():
    assert (DICE.value(-0.0001, sign=True), DICE.value(0.5), ASD.value(-1.25, sign=True)) == ("0.000", "0.500", "-1.2")
