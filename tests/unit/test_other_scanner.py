"""Test slices as another scanner would show them: contrast, blur and noise, each by what it must do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.store import SliceStore
from pivm.evaluation.stack_scoring import score_stacks
from pivm.labels import ORGANS_13, ORGANS_34
from pivm.segmentation.other_scanner import ENHANCING, FWHM, ShiftSettings, blur, shift, shifted_slices
from scipy import ndimage

NOTHING = ShiftSettings(noise_hu=0, blur_mm=0, enhancement=1)
NAMES = ("aorta", "colon", "liver")


def scan(aorta: int = 240, liver: int = 100, size: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Three slices of air, a body of 0 HU and three organs of one value each."""
    hu, labels = np.full((3, size, size), -1000, np.int16), np.zeros((3, size, size), np.uint8)
    hu[:, 3:-3, 3:-3] = 0
    for label, (rows, value) in enumerate((((4, 8), aorta), ((9, 13), 300), ((14, 20), liver)), start=1):
        hu[:, slice(*rows), 4:16] = value
        labels[:, slice(*rows), 4:16] = label
    return hu, labels


def shifted(hu: np.ndarray, labels: np.ndarray, settings: ShiftSettings, pixel_mm: float = 2.0, seed: int = 0):
    return shift(hu, labels, NAMES, pixel_mm, settings, [seed + i for i in range(len(hu))])


class TestContrast:
    def test_what_is_above_40_hu_is_scaled(self):
        """The aorta by hand: 40 + 0.6 * (240 - 40) = 160; the liver: 40 + 0.6 * (100 - 40) = 76."""
        hu, labels = scan()
        found = shifted(hu, labels, replace(NOTHING, enhancement=0.6))
        assert found.dtype == np.int16
        assert (found[labels == 1] == 160).all()
        assert (found[labels == 3] == 76).all()
        others = (labels == 0) | (labels == 2)  # air, body and an organ that takes up no contrast
        assert np.array_equal(found[others], hu[others])

    def test_a_stronger_phase(self):
        hu, labels = scan()
        assert (shifted(hu, labels, replace(NOTHING, enhancement=1.5))[labels == 1] == 340).all()

    def test_texture_stays_and_the_median_moves(self):
        hu, labels = scan()
        hu += np.random.default_rng(0).integers(-9, 10, hu.shape).astype(np.int16)
        found, liver = shifted(hu, labels, replace(NOTHING, enhancement=0.5)), labels == 3
        steps = np.unique(found[liver].astype(int) - hu[liver])
        assert len(steps) == 1
        assert abs(np.median(found[liver]) - (40 + 0.5 * (np.median(hu[liver]) - 40))) <= 0.5

    def test_a_scan_without_contrast_and_one_without_these_organs_stay_as_they_are(self):
        hu, labels = scan(aorta=38, liver=25)
        assert np.array_equal(shifted(hu, labels, replace(NOTHING, enhancement=0.6)), hu)
        hu, labels = scan()
        found = shift(hu, labels, ("tumour", "cyst", "bone"), 2.0, replace(NOTHING, enhancement=0.6), [1, 2, 3])
        assert np.array_equal(found, hu)

    def test_the_organs_have_names_of_the_label_sets(self):
        assert set(ORGANS_13) & set(ORGANS_34) >= ENHANCING


class TestBlur:
    @pytest.mark.parametrize(("blur_mm", "pixel_mm"), [(3.0, 5.0), (3.0, 1.5), (6.0, 1.0)])
    def test_a_point_is_spread_by_the_width_in_mm(self, blur_mm, pixel_mm):
        """Below a pixel as well, where sampling the Gaussian would leave the point as it is."""
        point = np.zeros((1, 41, 41))
        point[0, 20, 20] = 1
        spread = blur(point, blur_mm / FWHM / pixel_mm)[0]
        assert spread.sum() == pytest.approx(1)
        away_mm = (np.arange(41) - 20) * pixel_mm
        for profile in (spread.sum(0), spread.sum(1)):
            assert FWHM * np.sqrt((profile * away_mm**2).sum()) == pytest.approx(blur_mm, rel=1e-3)

    def test_it_is_that_of_scipy_where_pixels_are_fine(self):
        image = np.zeros((1, 48, 48))
        image[0, :, 24:] = 100.0  # an edge
        image[0, 10, 10] = 500.0
        assert np.abs(blur(image, 3.0)[0] - ndimage.gaussian_filter(image[0], 3.0)).max() < 0.5

    def test_slices_do_not_run_into_each_other_and_edges_of_the_slice_add_nothing(self):
        hu, labels = scan()
        hu[1] = -1000
        found = shifted(hu, labels, replace(NOTHING, blur_mm=3.0))
        assert (found[1] == -1000).all()
        assert found[0, 0, 0] == -1000
        assert np.array_equal(found[0], found[2])


class TestNoise:
    @pytest.mark.parametrize("noise_hu", [2.0, 10.0, 40.0])
    def test_its_standard_deviation_is_what_is_asked_for(self, noise_hu):
        hu, labels = np.zeros((4, 128, 128), np.int16), np.zeros((4, 128, 128), np.uint8)
        found = shifted(hu, labels, replace(NOTHING, noise_hu=noise_hu))
        assert found.std() == pytest.approx(noise_hu, rel=0.03)
        assert abs(found.mean()) < 0.03 * noise_hu
        next_to_it = np.corrcoef(found[:, :, 1:].ravel(), found[:, :, :-1].ravel())[0, 1]
        assert abs(next_to_it) < 0.02  # it is white, so it was not blurred

    def test_nothing_is_below_air_and_nothing_runs_over(self):
        hu, labels = np.full((2, 32, 32), -1024, np.int16), np.zeros((2, 32, 32), np.uint8)
        hu[:, :16] = np.iinfo(np.int16).max
        found = shifted(hu, labels, replace(NOTHING, noise_hu=30))
        assert found.min() == -1024
        assert found[:, :16].min() > 32000

    @given(st.integers(0, 2**62), st.integers(0, 2**62))
    def test_a_slice_follows_from_its_seed_alone(self, one, other):
        hu, labels = scan()
        settings = ShiftSettings()
        alone = shift(hu, labels, NAMES, 2.0, settings, [one, other, one])
        assert np.array_equal(alone, shift(hu, labels, NAMES, 2.0, settings, [one, other, one]))
        assert np.array_equal(alone[0], alone[2])
        assert np.array_equal(alone[0], alone[1]) == (one == other)


@given(st.floats(0, 60), st.floats(0, 20), st.floats(0, 3), st.floats(0.4, 8), st.integers(-1024, 3000))
def test_shape_and_type_stay_and_the_given_slices_too(noise_hu, blur_mm, enhancement, pixel_mm, aorta):
    hu, labels = scan(aorta=aorta)
    before = hu.copy()
    found = shifted(hu, labels, ShiftSettings(noise_hu, blur_mm, enhancement), pixel_mm)
    assert (found.shape, found.dtype) == (hu.shape, np.int16)
    assert np.array_equal(hu, before)
    assert np.array_equal(shifted(hu, labels, NOTHING, pixel_mm), hu)


@pytest.fixture
def store(tmp_path):
    """Two scans of equal voxels, in other pixels."""
    parts = []
    for subject, pixel_mm in (("a", 1.5), ("b", 5.0)):
        hu, labels = scan()
        index = pd.DataFrame({"subject": subject, "patient": subject, "split": "test", "z": [3, 7, 9]})
        index = index.assign(role="target", previous=-1, pixel_mm=pixel_mm, step_mm=20.0, below_mm=5.0)
        parts.append((index, {"hu": hu, "labels": labels, "body": hu > -500}))
    SliceStore.write(tmp_path / "store", parts, 24)
    return SliceStore(tmp_path / "store")


class TestStore:
    def test_noise_follows_from_seed_scan_and_slice(self, store):
        settings = replace(NOTHING, noise_hu=10)

        def of(rows, seed=1):
            return shifted_slices(store, np.array(rows), NAMES, settings, seed)

        whole = of([0, 1, 2])
        assert np.array_equal(whole, of([0, 1, 2]))
        assert np.array_equal(whole[1:2], of([1]))
        assert not np.array_equal(whole[0], whole[1])
        assert not np.array_equal(whole, of([3, 4, 5]))
        assert not np.array_equal(whole, of([0, 1, 2], seed=2))

    def test_the_blur_is_in_mm_of_the_scan(self, store):
        fine, coarse = (
            shifted_slices(store, np.array(rows), NAMES, replace(NOTHING, blur_mm=3.0), 1)
            for rows in ([0, 1, 2], [3, 4, 5])
        )
        hu, labels = scan()
        assert np.array_equal(coarse, shifted(hu, labels, replace(NOTHING, blur_mm=3.0), 5.0))
        assert np.abs(fine - hu.astype(int)).sum() > 2 * np.abs(coarse - hu.astype(int)).sum()

    def test_a_segmenter_sees_them_and_the_truth_stays(self, store):
        class Threshold:
            """Finds the aorta by its HU."""

            def predict(self, hu, batch):
                return (np.abs(hu.astype(int) - 240) < 20).astype(np.uint8)

        def darker(store, rows):
            return shifted_slices(store, rows, NAMES, replace(NOTHING, enhancement=0.6), 1)

        rows = store.rows("test")
        same, other = (
            {(c.scan, c.label): c for c in score_stacks(Threshold(), store, rows, NAMES, 2, (None, 1), how)}  # type: ignore[arg-type]
            for how in (None, darker)
        )
        assert same["a", "aorta"].scores["dice"] == 1
        assert other["a", "aorta"].scores["dice"] == 0
        assert {k: c.truth_voxels for k, c in same.items()} == {k: c.truth_voxels for k, c in other.items()}
