"""Pairs of methods, Holm's correction, balanced scores from cases, and sentences."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.evaluation.all_metrics import METRICS
from pivm.evaluation.crossed import CrossedScores, crossed_mean, pool_seed_squares, variance_units
from pivm.evaluation.crossing import cross_scores
from pivm.evaluation.intervals import highest_rate_unseen
from pivm.evaluation.metrics import Metric
from pivm.evaluation.pairs import compare_pairs, holm
from pivm.evaluation.pooled import PooledScores, pooled_mean
from pivm.evaluation.sentences import differences_to, leaders, signed, verdicts
from pivm.evaluation.statistics import MetricSummary, summarise_pooled
from scipy import stats
from scipy.special import expit

LEVEL = 0.95
DICE, ASD = METRICS["dice"], METRICS["average_surface_distance"]


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


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=5))
def test_the_interval_of_a_difference_of_rates_lies_where_it_can(events):
    """With few patients Student's t reaches beyond -1 and 1, where no difference of two rates is."""
    scores = {name: per_patient(values) for name, values in zip("ab", zip(*events, strict=True), strict=True)}
    (free,), (pair,) = compare_pairs(scores, LEVEL), compare_pairs(scores, LEVEL, "logit")
    low, mean, high = pair.difference.low, pair.difference.mean, pair.difference.high
    assert -1 <= low <= mean <= high <= 1
    spread = any(len(set(values)) > 1 for values in zip(*events, strict=True))
    widest = 0 if spread else highest_rate_unseen(len(events), LEVEL)
    assert (low, high) == (max(free.difference.low - widest, -1), min(free.difference.high + widest, 1))
    assert (pair.p, pair.p_holm) == (free.p, free.p_holm)
    assert (low <= 0 <= high) == (free.difference.low <= 0 <= free.difference.high)


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
    with pytest.raises(ValueError, match="patients, expected the same"):
        compare_pairs({"a": per_patient([1, 2]), "b": per_patient([1, 2, 3])}, LEVEL)


def test_methods_of_other_seeds_are_compared_over_those_that_both_have():
    rng = np.random.default_rng(2)
    many = CrossedScores(
        rng.normal(0.7, 0.05, (12, 3, 2)), seeds={"generator_seed": (1, 4, 5), "segmenter_seed": (1, 2)}
    )
    few = CrossedScores(rng.normal(0.6, 0.05, (12, 1, 1)), seeds={"generator_seed": (4,), "segmenter_seed": (2,)})
    (pair,) = compare_pairs({"few": few, "many": many}, LEVEL)
    assert pair.difference.mean == pytest.approx((many.values[:, 1, 1] - few.values[:, 0, 0]).mean())
    assert pair.difference.unknown == ("generator_seed", "segmenter_seed")
    other = CrossedScores(few.values, seeds={"generator_seed": (4,), "segmenter_seed": (3,)})
    with pytest.raises(ValueError, match="no segmenter_seed in common"):
        compare_pairs({"a": other, "b": many}, LEVEL)


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


def table_scores(rng, shared: float) -> dict[str, CrossedScores]:
    """Three methods of equal mean: 20 patients, 3 generator seeds, 2 segmenter seeds that matter as patients do."""
    patients, start = rng.normal(0, 1, (20, 1, 1)), rng.normal(0, shared, (1, 1, 2))
    return {
        name: CrossedScores(
            patients + start + rng.normal(0, 0.15, (1, 3, 1)) + rng.normal(0, 0.15, (1, 1, 2))
            + rng.normal(0, 0.1, (1, 3, 2)) + rng.normal(0, 0.5, (20, 1, 1)) + rng.normal(0, 0.2, (20, 3, 2))
        )
        for name in "abc"
    }  # fmt: skip


def test_trainings_that_are_pooled_over_a_table_cover_what_they_claim():
    rng, hits, alone, pooled = np.random.default_rng(8), 0, [], []
    count = 1200
    for _ in range(count):
        scores = table_scores(rng, 0.1)
        pair = compare_pairs(scores, LEVEL)[2]
        hits += pair.difference.low <= 0 <= pair.difference.high
        pooled.append(pair.difference.high - pair.difference.low)
        (single,) = compare_pairs({name: scores[name] for name in "bc"}, LEVEL)
        alone.append(single.difference.high - single.difference.low)
    assert hits / count == pytest.approx(LEVEL, abs=0.02)
    # two seeds alone: one interval in four is wider by far than it need be
    assert np.quantile(alone, 0.9) > 1.5 * np.quantile(pooled, 0.9)


def test_means_with_pooled_trainings_cover_what_they_claim():
    rng, hits, count = np.random.default_rng(9), 0, 1200
    for _ in range(count):
        scores = table_scores(rng, 0.0)
        squares = pool_seed_squares({(name,): s for name, s in scores.items()}, dict.fromkeys(scores, 1.0))
        mean = crossed_mean(scores["a"], LEVEL, "identity", squares["a",])
        hits += mean.low <= 0 <= mean.high
    assert hits / count == pytest.approx(LEVEL, abs=0.02)


def test_pooled_squares_by_hand():
    """Two methods, seeds 0.2 and 0.4 apart, nothing else: mean squares 2 * 0.02 and 2 * 0.08 with 1 + 1 freedoms."""
    scores = {
        (name,): CrossedScores(
            np.array([0, 1.0])[:, None, None] + np.array([0, step])[None, None], ("patient", "segmenter_seed")
        )
        for name, step in (("a", 0.2), ("b", 0.4))
    }
    ((key, square),) = pool_seed_squares(scores, {"a": 1.0, "b": 1.0})["a",].items()
    assert key == ((2,), (2, 1, 2))
    assert (square.value, square.freedom) == (pytest.approx(0.1), 2)
    # in units of 1 and 4 both are 0.04: of b it makes four times as much as of a, and of c without variance nothing
    found = pool_seed_squares(scores | {("c",): scores["a",]}, {"a": 1.0, "b": 4.0, "c": 0.0})
    assert [found[name,][key].value for name in "ab"] == pytest.approx([0.04, 0.16])
    assert (found["a",][key].freedom, found["c",]) == (2, {})


RATES = {"rare": -7.0, "low": -5.0, "high": -3.0}  # logits: 0.2 %, 1.2 % and 7 % of 25 organs


def chances_to_miss(rng, start: float, patients: int, seeds: int) -> np.ndarray:
    """[25 organs, patients, 1, seeds]; organs differ by a factor of up to 11, patients by 1.6, seeds by 1.4."""
    organs = np.linspace(-2.4, 2.4, 25)[:, None, None, None]
    return expit(start + organs + rng.normal(0, 0.5, (patients, 1, 1)) + rng.normal(0, 0.35, (1, 1, seeds)))


def test_rates_of_unlike_columns_cover_what_they_claim_and_stay_useful():
    """What trainings differ by in a column with many misses says little in absolute terms of one with hardly any."""
    rng, count = np.random.default_rng(3), 2500
    truth = {name: chances_to_miss(rng, start, 1000, 1000).mean() for name, start in RATES.items()}
    hits, widths = dict.fromkeys(RATES, 0), {name: [] for name in RATES}
    for _ in range(count):
        chances = {name: chances_to_miss(rng, start, 40, 3) for name, start in RATES.items()}
        events = {name: (rng.random(chance.shape) < chance).mean(axis=0) for name, chance in chances.items()}
        scores = {name: CrossedScores(rates, ("patient", "segmenter_seed")) for name, rates in events.items()}
        squares = pool_seed_squares({(name,): s for name, s in scores.items()}, variance_units(scores, "logit"))
        for name, one in scores.items():
            found = crossed_mean(one, LEVEL, "logit", squares[name,])
            hits[name] += found.low <= truth[name] <= found.high
            widths[name].append(found.high - found.low)
    # more than claimed where events are counted on one hand, as an interval of a rate has to
    assert all(0.92 <= hit / count <= 0.995 for hit in hits.values()), hits
    assert np.quantile(widths["rare"], 0.9) < 0.06
    assert np.quantile(widths["low"], 0.9) < 0.06


def distances(rng, medians: dict[str, float], patients: int, seeds: int) -> dict[str, CrossedScores]:
    """Distances in mm whose patients, trainings and their interplay are factors, alike in all columns."""
    common = rng.normal(0, 0.35, (patients, 1, 1))
    return {
        name: CrossedScores(
            median * np.exp(common + rng.normal(0, 0.35, (patients, 1, 1)) + rng.normal(0, 0.15, (1, 1, seeds))
                            + rng.normal(0, 0.3, (patients, 1, seeds))),
            ("patient", "segmenter_seed"),
        )
        for name, median in medians.items()
    }  # fmt: skip


def test_distances_of_unlike_columns_cover_what_they_claim_and_stay_useful():
    """In mm trainings far apart say nothing of close ones: pooled so, these get intervals of many times the mean."""
    rng, count, medians = np.random.default_rng(5), 1500, {"near": 6.0, "middle": 40.0, "far": 160.0}
    truth = {name: m * np.exp((2 * 0.35**2 + 0.15**2 + 0.3**2) / 2) for name, m in medians.items()}
    hits, widths, in_mm = dict.fromkeys(medians, 0), [], []
    for _ in range(count):
        scores = distances(rng, medians, 40, 3)
        alone = {(name,): s for name, s in scores.items()}
        squares = pool_seed_squares(alone, variance_units(scores, "log"))
        for name, one in scores.items():
            found = crossed_mean(one, LEVEL, "log", squares[name,])
            hits[name] += found.low <= truth[name] <= found.high
        near = crossed_mean(scores["near"], LEVEL, "log", squares["near",])
        widths.append(near.high - near.low)
        absolute = pool_seed_squares(alone, dict.fromkeys(scores, 1.0))["near",]
        near = crossed_mean(scores["near"], LEVEL, "log", absolute)
        in_mm.append(near.high - near.low)
    assert all(hit / count == pytest.approx(LEVEL, abs=0.02) for hit in hits.values()), hits
    assert np.quantile(widths, 0.9) < truth["near"]
    assert np.quantile(in_mm, 0.9) > 10 * truth["near"]


def test_the_difference_of_rates_that_were_never_seen_is_not_certain():
    none = CrossedScores(np.zeros((10, 1, 3)), ("patient", "segmenter_seed"))
    some = CrossedScores(np.random.default_rng(0).uniform(0, 0.1, (10, 1, 3)), ("patient", "segmenter_seed"))
    pairs = compare_pairs({"a": none, "b": none, "c": some}, LEVEL, "logit")
    both = pairs[0].difference
    assert (both.mean, both.low, both.high) == (0, -highest_rate_unseen(10, LEVEL), highest_rate_unseen(10, LEVEL))
    assert (pairs[0].p, pairs[1].difference.mean) == (1, some.values.mean())
    every = CrossedScores(np.ones((10, 1, 3)), ("patient", "segmenter_seed"))
    (pair,) = compare_pairs({"a": none, "b": every}, LEVEL, "logit")
    assert (pair.difference.mean, pair.difference.high) == (1, 1)
    assert pair.difference.low == pytest.approx(1 - highest_rate_unseen(10, LEVEL))


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
    some = full[full["method"] != "original"].copy()
    some.loc[some["method"] == "pivm", "dice"] = None
    nothing = cross_scores(some, "dice")
    assert (nothing.scores, nothing.patients, nothing.cases_left_out) == ({}, (), 1)


# --- sentences -------------------------------------------------------------------------------------------------------


def statements(
    metric: Metric, scores: dict[str, CrossedScores], reference: str = "", *, baseline: bool = False
) -> list[str]:
    means = {name: crossed_mean(s, LEVEL, metric.scale) for name, s in scores.items()}
    summary = MetricSummary(metric, means, compare_pairs(scores, LEVEL))
    return verdicts([summary], LEVEL, str.upper, reference or next(iter(scores)), baseline=baseline)


def test_sentences_say_what_holds_of_the_method_of_interest_alone():
    patients = np.linspace(0.6, 0.8, 12)
    noise = 0.004 * np.tile([-1, 1], 6)
    scores = {"cddpm": per_patient(patients), "pivm": per_patient(patients + 0.03 + noise),
              "maisi": per_patient(patients + 0.001 + noise[::-1])}  # fmt: skip
    assert statements(DICE, scores, "pivm") == [
        "PIVM against CDDPM: better in Dice Coefficient.",
        "PIVM against MAISI: better in Dice Coefficient.",
    ]
    assert statements(DICE, scores, "cddpm", baseline=True) == [
        "PIVM against CDDPM: better in Dice Coefficient.",
        "MAISI against CDDPM: not told apart in Dice Coefficient.",
    ]


@pytest.mark.parametrize("reference", ["a", "b"])
def test_differences_are_those_to_the_reference(reference):
    patients = np.linspace(3, 9, 12)
    scores = {"a": per_patient(patients), "b": per_patient(patients - 2 + 0.1 * np.tile([-1, 1], 6))}
    means = {name: crossed_mean(s, LEVEL, "log") for name, s in scores.items()}
    found = differences_to(MetricSummary(ASD, means, compare_pairs(scores, LEVEL)), reference, LEVEL)
    (other,) = found
    one, sign = found[other], 1 if reference == "a" else -1
    assert {other, reference} == {"a", "b"}
    assert (one.mean, one.told_apart, one.better) == (pytest.approx(-2 * sign), True, sign > 0)
    assert one.low < one.mean < one.high


def test_sentences_know_which_way_is_better():
    patients = np.linspace(3, 9, 12)
    for shift, said in ((-2, "worse"), (2, "better")):
        scores = {"a": per_patient(patients), "b": per_patient(patients + shift + 0.1 * np.tile([-1, 1], 6))}
        assert statements(ASD, scores) == [f"A against B: {said} in Average Surface Dist."]


def test_what_the_correction_takes_back_is_not_told_apart():
    base, noise = np.linspace(0.6, 0.8, 12), 0.02 * np.tile([-1, 1, 1, -1], 3)
    # t = 2.4 with 11 degrees of freedom: p = 0.035, and three pairs
    scores = {"a": per_patient(base), "b": per_patient(base + noise + 2.4 * 0.02 / np.sqrt(11)),
              "c": per_patient(base + 0.007 + 2 * noise[::-1] * np.repeat([-1, 1], 6))}  # fmt: skip
    pairs = compare_pairs(scores, LEVEL)
    assert pairs[0].p < 0.05 < pairs[0].p_holm
    assert "better" not in statements(DICE, scores)[0]


def test_sentences_admit_one_training_and_one_patient():
    rng = np.random.default_rng(6)
    scores = {name: CrossedScores(rng.uniform(0.6, 0.8, (12, 1, 2))) for name in ("cddpm", "pivm")}
    assert statements(DICE, scores)[-1] == (
        "CDDPM and PIVM: one training of the generator; what is said at 95 % holds for new patients and that training, "
        "and how much another training would differ is not known."
    )
    assert statements(DICE, {"a": per_patient([0.5]), "b": per_patient([0.6])}) == [
        "Dice Coefficient: one patient gives no interval and no test."
    ]


def test_no_minus_zero():
    assert [signed(metric, value) for metric, value in ((DICE, -0.0001), (DICE, 0.5), (ASD, -1.25))] == [
        "0.000",
        "+0.500",
        "-1.2",
    ]


@pytest.mark.parametrize(
    ("shifts", "bold"),
    [((0, 0.03, 0.031), {"b", "c"}), ((0, 0.0005, 0.0002), set()), ((0, 0.03, 0.06), {"c"})],
    ids=["two lead", "all tie", "one leads"],
)
def test_the_best_and_its_ties_lead(shifts, bold):
    rng = np.random.default_rng(3)
    base = np.linspace(0.5, 0.8, 12)
    scores = {name: per_patient(base + s + rng.normal(0, 0.003, 12)) for name, s in zip("abc", shifts, strict=True)}
    means = {name: crossed_mean(s, LEVEL, "logit") for name, s in scores.items()}
    assert leaders(MetricSummary(DICE, means, compare_pairs(scores, LEVEL)), LEVEL) == bold
    turned = {name: per_patient(10 - s.values[:, 0, 0]) for name, s in scores.items()}
    means = {name: crossed_mean(s, LEVEL, "log") for name, s in turned.items()}
    assert leaders(MetricSummary(ASD, means, compare_pairs(turned, LEVEL)), LEVEL) == bold


# --- metrics of all patients together --------------------------------------------------------------------------------


def pooled(method: str, values: np.ndarray) -> pd.DataFrame:
    """Rows of a statistic that is the mean over patients, for values [trainings, patients]."""
    rows = []
    for seed, of_seed in enumerate(values, start=1):
        subsets = {"": of_seed, **{f"p{i}": np.delete(of_seed, i) for i in range(len(of_seed))}}
        rows += [{"method": method, "generator_seed": seed, "without": w, "kid": v.mean()} for w, v in subsets.items()]
    return pd.DataFrame(rows)


def test_a_mean_over_patients_has_the_interval_of_a_mean():
    values = np.random.default_rng(0).normal(0.1, 0.02, (1, 12))
    found = pooled_mean(PooledScores.read(pooled("a", values), "kid"), LEVEL, "identity")
    expected = crossed_mean(per_patient(values[0]), LEVEL, "identity")
    assert (found.mean, found.low, found.high) == pytest.approx((expected.mean, expected.low, expected.high))
    assert found.unknown == ("generator_seed",)


def test_trainings_widen_the_interval_and_differences_are_paired():
    rng = np.random.default_rng(1)
    patients = rng.normal(0, 0.02, 12)
    a = 0.1 + patients + np.array([[-0.03], [0.0], [0.03]])
    b = a + 0.01 + rng.normal(0, 1e-4, a.shape)
    frame = pd.concat([pooled("a", a), pooled("b", b)])
    one = summarise_pooled(pooled("a", a[:1]), METRICS["kid"], ["a"], LEVEL).means["a"]
    both = summarise_pooled(frame, METRICS["kid"], ["a", "b"], LEVEL)
    assert both.means["a"].high - both.means["a"].low > 2 * (one.high - one.low)
    (pair,) = both.pairs
    assert pair.difference.mean == pytest.approx(0.01, abs=1e-3)
    assert pair.p < 1e-3


def test_pooled_interval_covers_new_patients_and_trainings():
    rng, hits = np.random.default_rng(4), 0
    for _ in range(1500):
        values = rng.normal(0, 1, (1, 12)) + rng.normal(0, 0.5, (3, 1)) + rng.normal(0, 0.3, (3, 12))
        mean = pooled_mean(PooledScores.read(pooled("a", values), "kid"), LEVEL, "identity")
        hits += mean.low <= 0 <= mean.high
    assert hits / 1500 == pytest.approx(LEVEL, abs=0.02)
