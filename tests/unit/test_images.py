"""Image fidelity by hand: SSIM, Fréchet distance, KID, HU per organ, and what they are computed on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.split import require_split
from pivm.errors import CohortError, StateError
from pivm.evaluation.image_metrics import IMAGE_METRICS
from pivm.evaluation.image_metrics.frechet_distance import frechet_distance
from pivm.evaluation.image_metrics.kid import kid
from pivm.evaluation.image_metrics.ssim import ssim
from pivm.evaluation.image_scoring import same_number_of_real
from pivm.evaluation.organ_intensity import HU_FIDELITY, compare_organ_intensity
from pivm.evaluation.paired import PairedSlices, SyntheticRun
from pivm.evaluation.patient_images import PatientImages, SliceSet
from pivm.evaluation.pooled import PooledScores, pooled_mean
from pivm.labels import LabelSet
from pivm.report.zoom import detail
from pivm.segmentation.training_set import synthetic_part
from pivm.synthesis.slices import choose_sources, rows_of_patients
from scipy import linalg
from skimage.metrics import structural_similarity

WINDOW = (-200, 300)


def slices(n: int = 2, size: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-400, 500, (n, size, size)).astype(np.int16)


def everywhere(hu: np.ndarray) -> np.ndarray:
    return np.ones(hu.shape, bool)


def test_ssim_of_equal_slices_is_one():
    assert ssim(slices(), slices(), everywhere(slices()), WINDOW) == (1, 1)


def test_ssim_of_two_even_slices_by_hand():
    real, synthetic = np.full((1, 24, 24), 40, np.int16), np.full((1, 24, 24), 100, np.int16)
    x, y, c1 = 240, 300, (0.01 * 500) ** 2
    expected = (2 * x * y + c1) / (x * x + y * y + c1)
    assert ssim(real, synthetic, everywhere(real), WINDOW) == pytest.approx((expected, expected))


def test_ssim_is_that_of_the_clipped_slices():
    real, synthetic = slices(3), slices(3, seed=1)
    x, y = (np.clip(hu, *WINDOW).astype(float) + 200 for hu in (real, synthetic))
    by_hand = [
        structural_similarity(a, b, data_range=500, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for a, b in zip(x, y, strict=True)
    ]
    assert ssim(real, synthetic, everywhere(real), WINDOW).whole == pytest.approx(np.mean(by_hand))
    beyond = np.where(synthetic <= -200, -1000, synthetic)
    assert ssim(real, synthetic, everywhere(real), WINDOW) == ssim(real, beyond, everywhere(real), WINDOW)


def test_ssim_inside_the_body_does_not_see_what_is_far_outside():
    real, body = slices(), np.zeros((2, 24, 24), bool)
    body[0, :6, :6] = True  # the second slice has no outline
    synthetic = real.copy()
    synthetic[:, 14:, 14:] = 300
    whole, inside = ssim(real, synthetic, body, WINDOW)
    assert inside == 1
    assert whole < 1


@pytest.mark.filterwarnings("error")
def test_a_patient_without_outline_has_no_ssim_inside_it_and_keeps_all_else():
    """No slice with an outline: no score, and so neither 0 nor a warning; with one of them: the score of that one."""
    real, none = slices(), np.zeros((2, 24, 24), bool)
    synthetic = np.minimum(real + 20, 300).astype(np.int16)
    whole, inside = ssim(real, synthetic, none, WINDOW)
    assert np.isnan(inside)
    assert whole == ssim(real, synthetic, everywhere(real), WINDOW).whole < 1
    one = none.copy()
    one[1, 4:20, 4:20] = True
    assert ssim(real, synthetic, one, WINDOW).inside == ssim(real[1:], synthetic[1:], one[1:], WINDOW).inside


def diagonal_samples(mean, variances) -> np.ndarray:
    """Four points with exactly this mean and these variances, uncorrelated."""
    x, y = np.sqrt(1.5 * np.asarray(variances))
    return np.array([[x, 0], [-x, 0], [0, y], [0, -y]]) + mean


def test_frechet_distance_of_two_features_by_hand():
    a, b = diagonal_samples((0, 0), (1, 4)), diagonal_samples((3, 4), (4, 9))
    assert frechet_distance(a, b) == pytest.approx(25 + (1 + 4) + (4 + 9) - 2 * (2 + 6))


def test_frechet_distance_against_a_matrix_root():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (60, 8)), rng.normal(0.5, 2, (40, 8)) @ rng.normal(0, 1, (8, 8))
    of_a, of_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(of_a + of_b - 2 * linalg.sqrtm(of_a @ of_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_frechet_distance_with_fewer_samples_than_features():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (6, 300)), rng.normal(0.2, 1, (6, 300))
    centred = [(x - x.mean(0)) / np.sqrt(5) for x in (a, b)]
    root = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    expected = np.square(a.mean(0) - b.mean(0)).sum() + sum(np.square(c).sum() for c in centred) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-4)


@given(seed=st.integers(0, 1000), shift=st.floats(-3, 3))
def test_moving_all_features_changes_no_distance_but_moving_one_side_adds_the_square(seed, shift):
    a, b = np.random.default_rng(seed).normal(0, 1, (2, 7, 12))
    before = frechet_distance(a, b)
    assert frechet_distance(a + shift, b + shift) == pytest.approx(before, abs=1e-5)
    assert frechet_distance(b, a) == pytest.approx(before, abs=1e-5)
    assert frechet_distance(a, a + shift) == pytest.approx(12 * shift**2, abs=1e-5)


def test_kid_by_hand():
    a, b = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    assert kid(a, b) == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)


def kid_over_patients(real, synthetic, confidence):
    """KID of features per patient, as the entry is asked for it."""
    body = np.ones((1, 1, 1), bool)
    patients = [
        PatientImages(f"p{i}", *(SliceSet(x, WINDOW, lambda hu, window: hu) for x in features), body, WINDOW)
        for i, features in enumerate(zip(real, synthetic, strict=True))
    ]
    compute = IMAGE_METRICS["kid"].compute
    value, several = compute(patients), len(patients) > 1
    without_each = [compute([p for p in patients if p is not left_out]) for left_out in patients] if several else [0.0]
    found = pooled_mean(PooledScores(np.array([value]), np.array([without_each]), (1,)), confidence, "identity")
    return found.mean, found.low, found.high


def draws(rng, patients=5, count=6, shift=0.0):
    return [rng.normal(shift, 1, (count, 10)) for _ in range(patients)]


def test_kid_is_unbiased_and_its_interval_covers_the_truth():
    rng = np.random.default_rng(0)
    results = [kid_over_patients(draws(rng), draws(rng), 0.9) for _ in range(150)]
    values = np.array([value for value, _, _ in results])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert (values < 0).any()
    assert np.mean([low <= 0 <= high for _, low, high in results]) >= 0.8
    value, low, _ = kid_over_patients(draws(rng), draws(rng, shift=2), 0.9)
    assert value > low > 0


def test_one_patient_gives_kid_without_interval():
    rng = np.random.default_rng(0)
    value, low, high = kid_over_patients(draws(rng, 1), draws(rng, 1), 0.95)
    assert np.isfinite(value)
    assert (low, high) == (None, None)


@pytest.mark.parametrize(
    ("start", "count", "expected"), [(0, 3, [0, 1, 2]), (1, 3, [3, 5, 7]), (0, 6, [0, 1, 3, 4, 6, 7]), (2, 2, [8, 9])]
)
def test_as_many_real_slices_come_from_one_patient_where_it_has_them(start, count, expected):
    rows = {"a": np.arange(3), "b": np.arange(3, 8), "c": np.arange(8, 10)}
    np.testing.assert_array_equal(same_number_of_real(rows, start, count), expected)


class Store:
    """Four test slices of two patients, one of whom was scanned twice, and one training slice."""

    def __init__(self):
        self.index = pd.DataFrame({"patient": ["t1", "t1", "t2", "t2", "x"], "split": [*["test"] * 4, "train"]})
        self.index["subject"] = ["t1", "t1_later", "t2", "t2", "x"]
        self.labels = np.zeros((5, 6, 6), np.uint8)
        self.labels[:4, :3] = 1
        self.labels[0, 4:] = 2
        self.hu = np.random.default_rng(0).integers(0, 100, (5, 6, 6)).astype(np.int16)

    def rows(self, split):
        return np.flatnonzero(self.index["split"] == split)


def test_hu_fidelity_of_a_shift_by_hand():
    store = Store()
    synthetic = store.hu[:4].copy()
    synthetic[store.labels[:4] == 1] += 10
    pairs = PairedSlices(store, np.arange(4), {SyntheticRun("g", seed): synthetic for seed in (1, 2)})
    table = compare_organ_intensity(pairs, LabelSet(("liver", "spleen", "aorta")), 0.95)
    assert list(table.columns) == HU_FIDELITY
    liver, spleen = table.to_dict("records")
    real = store.hu[:4][store.labels[:4] == 1]
    assert (liver["organ"], liver["patients"], liver["pixels"]) == ("liver", 2, 72)
    assert liver["real_mean"] == pytest.approx(real.mean())
    assert liver["mean"] == pytest.approx(real.mean() + 10)
    assert (liver["sd"], liver["wasserstein"]) == pytest.approx((real.std(), 10))
    assert (liver["difference"], liver["ci_low"], liver["ci_high"]) == pytest.approx((10, 10, 10))
    assert liver["generator_seeds"] == 2
    assert pd.isna(liver["train_mean"])  # the training slice shows no organ
    assert pd.isna(spleen["ci_low"])
    assert (spleen["organ"], spleen["patients"], spleen["wasserstein"]) == ("spleen", 1, 0)


def test_the_training_patients_own_organ_means_stand_beside_them():
    store = Store()
    store.labels[4, 0] = 1
    store.hu[4] = np.arange(36).reshape(6, 6)
    pairs = PairedSlices(store, np.arange(4), {SyntheticRun("g", 1): store.hu[:4]})
    liver, spleen = compare_organ_intensity(pairs, LabelSet(("liver", "spleen")), 0.95).to_dict("records")
    assert liver["train_mean"] == 2.5
    assert pd.isna(spleen["train_mean"])


def write_test_slices(folder, subjects, rows):
    folder.mkdir()
    pd.DataFrame({"source_subject": subjects, "source_row": rows}).to_csv(folder / "index.csv", index=False)
    for name in ("hu", "labels"):
        np.save(folder / f"{name}.npy", np.zeros((len(rows), 6, 6), np.int16))
    return folder


SPLIT = {"t1": "test", "t2": "test", "x": "train"}


def test_slices_are_paired_by_patient(tmp_path):
    folder = write_test_slices(tmp_path / "a", ["t1", "t1", "t2"], [0, 1, 2])
    pairs = PairedSlices.load(Store(), SPLIT, {SyntheticRun("a", 1): folder}, "test")
    assert {p: list(own) for p, own in pairs.patients()} == {"t1": [0, 1], "t2": [2]}


def test_a_training_patient_among_the_test_slices_is_refused(tmp_path):
    folder = write_test_slices(tmp_path / "a", ["t1", "x"], [0, 4])
    with pytest.raises(StateError, match="'x' is in split 'train', allowed are test"):
        PairedSlices.load(Store(), SPLIT, {SyntheticRun("a", 1): folder}, "test")


def test_generators_of_other_slices_are_refused(tmp_path):
    one = write_test_slices(tmp_path / "a", ["t1", "t2"], [0, 2])
    two = write_test_slices(tmp_path / "b", ["t1", "t2"], [0, 3])
    with pytest.raises(StateError, match="are not those of the first generator"):
        PairedSlices.load(Store(), SPLIT, {SyntheticRun("a", 1): one, SyntheticRun("a", 2): two}, "test")


def test_test_slices_never_pass_as_a_training_set(tmp_path):
    subjects = set()
    synthetic_part(write_test_slices(tmp_path / "test", ["t1", "t2"], [0, 2]), subjects)
    with pytest.raises(StateError, match="patient 't1' is in split 'test', allowed are train"):
        require_split(subjects, SPLIT, ("train",), "segmenter on pivm")


def test_every_label_map_serves_once_before_any_serves_twice():
    rows = np.array([3, 5, 8, 13])
    assert sorted(choose_sources(rows, 4, 1)) == rows.tolist()
    counts = np.unique(choose_sources(rows, 7, 1), return_counts=True)[1]
    assert set(counts) == {1, 2}


@pytest.mark.parametrize(("patients", "chosen"), [(1, ["p0"]), (2, ["p0", "p6"]), (3, ["p0", "p3", "p6"]), (9, None)])
def test_image_patients_are_spread_over_the_test_split(patients, chosen):
    names = [f"p{i}" for i in range(7)]
    store = SimpleNamespace(
        index=pd.DataFrame({"patient": np.repeat(names, 3)}), rows=lambda split: np.arange(21)[np.arange(21) != 4]
    )
    rows = rows_of_patients(store, "test", patients)
    assert list(store.index["patient"][rows].unique()) == (chosen or names)
    assert 4 not in rows


def test_a_patient_of_one_slice_is_no_image_patient():
    store = SimpleNamespace(index=pd.DataFrame({"patient": ["a", "b", "b"]}), rows=lambda split: np.arange(3))
    np.testing.assert_array_equal(rows_of_patients(store, "test", 2), [1, 2])
    store.rows = lambda split: np.arange(2)
    with pytest.raises(CohortError, match="no test patient has two slices"):
        rows_of_patients(store, "test", 2)


def test_the_detail_shows_most_organs():
    labels = np.zeros((20, 20), np.uint8)
    labels[0:9, 0:9] = 1
    labels[12, 15], labels[14, 17], labels[16, 16] = 2, 3, 4
    top, left, side = detail(labels)
    assert side == 7
    assert set(np.unique(labels[top : top + side, left : left + side])) == {0, 2, 3, 4}
