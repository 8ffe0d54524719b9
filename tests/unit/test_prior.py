"""Organ means by hand, exact round trips, no test patient in any mean."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pivm.cohort.organ_means import fit_prior
from pivm.cohort.prior import Prior
from pivm.labels import LabelSet

LABELS = LabelSet(("liver", "bone", "ghost"))


def store(hu, labels, body, train):
    rows = np.asarray(train)
    index = pd.DataFrame({"pixel_mm": np.ones(len(hu)), "patient": "a"})
    return SimpleNamespace(hu=hu, labels=labels, body=body, index=index, rows=lambda split: rows)


@pytest.fixture
def tiny():
    hu = np.array([[[50, 60], [-1000, 700]], [[70, -100], [-980, -90]], [[999, 999], [999, 999]]], np.int16)
    labels = np.array([[[1, 1], [0, 2]], [[1, 0], [0, 0]], [[1, 1], [2, 0]]], np.uint8)
    body = np.array([[[1, 1], [0, 1]], [[1, 1], [0, 1]], [[1, 1], [1, 1]]], bool)
    return store(hu, labels, body, [0, 1])


def test_means_of_the_body_prior_by_hand(tiny):
    prior = fit_prior(tiny, LABELS, "body")
    # liver (50+60+70)/3; bone 700 clipped to 300; body (-100-90)/2 and air (-1000-980)/2 unclipped
    assert prior.means == (-990.0, 60.0, 300.0, 0.0, -95.0)
    assert prior.voxels == (2, 3, 1, 0, 2)
    assert prior.hu_range == (-1000, 700)
    assert prior.never_seen == ("ghost",)


def test_means_of_the_paper_prior_by_hand(tiny):
    prior = fit_prior(tiny, LABELS, "paper")
    assert prior.means == (0.0, 60.0, 300.0, 0.0)
    np.testing.assert_array_equal(prior.map(tiny.labels[0]), [[60, 60], [0, 300]])


def test_scale_is_the_spread_of_unclipped_variation(tiny):
    for kind in ("body", "paper"):
        prior = fit_prior(tiny, LABELS, kind)
        maps = prior.label_map(tiny.labels[:2], tiny.body[:2])
        v = prior.variation(tiny.hu[:2], maps)
        assert prior.variation_sd == pytest.approx(np.sqrt((v**2).mean()), rel=1e-6)
        for k in np.unique(maps):
            own = np.sqrt((v[maps == k] ** 2).mean())
            assert prior.organ_sd[k] == pytest.approx(np.clip(own, 5.0, prior.variation_sd), rel=1e-6)
    assert prior.absolute_mean == pytest.approx(tiny.hu[:2].mean())
    assert prior.absolute_sd == pytest.approx(tiny.hu[:2].std())


def test_the_order_and_size_of_chunks_change_nothing():
    rng = np.random.default_rng(0)
    hu = rng.integers(-1024, 3000, (9, 8, 8)).astype(np.int16)
    labels = rng.integers(0, 4, (9, 8, 8)).astype(np.uint8)
    body = rng.random((9, 8, 8)) < 0.7
    first = fit_prior(store(hu, labels, body, range(9)), LABELS, "body")
    for chunk in (1, 2, 100):
        assert fit_prior(store(hu, labels, body, range(8, -1, -1)), LABELS, "body", chunk=chunk) == first


def test_other_splits_do_not_move_a_mean(tiny):
    before = fit_prior(tiny, LABELS, "body")
    tiny.hu[2] = -500
    assert fit_prior(tiny, LABELS, "body") == before


@given(
    hu=hnp.arrays(np.int16, (3, 5, 5), elements=st.integers(-32768, 32767)),
    labels=hnp.arrays(np.uint8, (3, 5, 5), elements=st.integers(0, 4)),
    means=st.lists(st.floats(-1024, 1024, width=32), min_size=5, max_size=5),
)
def test_hu_to_variation_and_back_is_exact(hu, labels, means):
    prior = Prior("body", LABELS.names, LABELS.names, tuple(means), (1,) * 5, 1.0, (1.0,) * 5, 0.0, 1.0, (-1024, 3071))
    np.testing.assert_array_equal(prior.restore(prior.variation(hu, labels), labels), hu)


def test_an_organ_never_seen_in_training_is_unlabelled_tissue(tiny):
    prior = fit_prior(tiny, LABELS, "body")
    labels, body = np.array([[3, 3, 1]], np.uint8), np.array([[True, False, True]])
    np.testing.assert_array_equal(prior.label_map(labels, body), [[LABELS.body_id, 0, 1]])


def test_organs_that_a_prior_does_not_keep_are_unlabelled_tissue(tiny):
    """The ablation of section 3.5 knows fewer labels than the store holds."""
    prior = fit_prior(tiny, LABELS, "body", LabelSet(("bone",)))
    # air as before; bone 300; body holds the liver as well: (-100-90+50+60+70)/5
    assert prior.means == (-990.0, 300.0, -2.0)
    labels, body = np.array([[1, 2, 0, 0]], np.uint8), np.array([[True, True, True, False]])
    np.testing.assert_array_equal(prior.label_map(labels, body), [[2, 1, 2, 0]])


def test_saving_loses_nothing(tiny, tmp_path):
    prior = fit_prior(tiny, LABELS, "body")
    prior.save(tmp_path / "prior.json")
    assert Prior.load(tmp_path / "prior.json") == prior
