"""The gate: which synthetic slices are used, judged by segmenters that never saw their patient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.store import SliceStore
from pivm.errors import CohortError, ConfigError
from pivm.segmentation.gate import drop_at_random, fold_of, hu_limits, judges, organ_medians, require_some, score
from pivm.segmentation.training_set import TrainingSlices, real_part, synthetic_part
from pivm.synthesis.settings import GateSettings

SETTINGS = GateSettings(min_pixels=4)
SIZE = 16


def square(*organs: int) -> np.ndarray:
    """A label map with one square of 16 pixels per organ, side by side."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for place, organ in enumerate(organs):
        labels[2:6, 4 * place : 4 * place + 4] = organ
    return labels


def hu_of(labels: np.ndarray, shift: int = 0) -> np.ndarray:
    return (100 * labels.astype(np.int16) + shift).astype(np.int16)


LIMITS = (np.array([np.nan, 50, 150, 250]), np.array([np.nan, 150, 250, 350]))


def scored(labels, hu, predicted):
    return score(hu[None], labels[None], predicted[None], LIMITS, SETTINGS).iloc[0]


def test_a_slice_that_shows_its_labels_is_kept():
    labels = square(1, 2, 3)
    row = scored(labels, hu_of(labels), labels)
    assert row.to_dict() == {"organs": 3, "dice": 1, "organs_missing": 0, "hu_outside": 0, "keep": True}


def test_an_organ_that_is_not_drawn_counts_as_missing():
    labels, predicted = square(1, 2, 3), square(1, 2, 0)
    row = scored(labels, hu_of(labels), predicted)
    assert (row["organs_missing"], row["keep"]) == (pytest.approx(1 / 3), False)
    assert row["dice"] == pytest.approx(2 / 3)


def test_an_organ_is_drawn_from_the_share_on_that_the_config_says():
    labels = square(1, 2, 3)
    for pixels, missing in ((12, 0), (11, 1 / 3)):  # of 16: 0.75 and 0.69
        predicted = labels.copy()
        places = np.argwhere(labels == 3)[pixels:]
        predicted[tuple(places.T)] = 0
        assert scored(labels, hu_of(labels), predicted)["organs_missing"] == pytest.approx(missing)


def test_hu_outside_those_of_real_slices_are_dropped():
    labels = square(1, 2, 3)
    assert scored(labels, hu_of(labels, 60), labels)["hu_outside"] == 1
    hu = hu_of(labels)
    hu[labels == 1] = 400
    row = scored(labels, hu, labels)
    assert (row["hu_outside"], row["keep"]) == (pytest.approx(1 / 3), False)


def test_small_organs_are_not_judged_and_a_slice_of_none_is_kept():
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[0, :3] = 1
    row = scored(labels, hu_of(labels, 900), np.zeros_like(labels))
    assert (row["organs"], row["keep"]) == (0, True)
    assert np.isnan(row["dice"])


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_medians_are_those_of_numpy(seed, least):
    rng = np.random.default_rng(seed)
    hu = rng.integers(-1000, 1000, (2, 8, 8)).astype(np.int16)
    labels = rng.integers(0, 4, hu.shape).astype(np.uint8)
    medians = organ_medians(hu, labels, 4, least)
    for i, organ in np.ndindex(2, 4):
        inside = hu[i][labels[i] == organ]
        expected = np.median(inside) if organ and len(inside) >= least else np.nan
        assert medians[i, organ] == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.text(min_size=1, max_size=3), min_size=2, max_size=20, unique=True))
def test_halves_share_nobody(patients):
    first, second = fold_of(patients, 0), fold_of(patients, 1)
    assert not first & second
    assert first | second == set(patients)
    assert first
    assert second


@pytest.fixture
def store(tmp_path):
    """Six scans of five persons: p4 has two; p5 is of the test, p6 serves with labels alone."""
    names = ["p1", "p2", "p3", "p4", "p4b", "p5", "p6"]
    split = dict(zip(names, ["train"] * 5 + ["test", "labels_only"], strict=True))
    labels = np.stack([square(1, 2, 3)] * len(names))
    hu = hu_of(labels) + np.arange(len(names), dtype=np.int16)[:, None, None]
    index = pd.DataFrame({"subject": names, "patient": [n[:2] for n in names], "split": [split[n] for n in names]})
    index = index.assign(z=0, role="target", previous=-1, pixel_mm=5.0, step_mm=20.0, below_mm=5.0)
    SliceStore.write(tmp_path / "store", [(index, {"hu": hu, "labels": labels, "body": labels > 0})], SIZE)
    return SliceStore(tmp_path / "store")


def test_nobody_is_judged_by_a_segmenter_that_learnt_from_him_or_her(store):
    subjects = np.array(["p1", "p2", "p3", "p4", "p4b", "p6", "p1_masks", "p2_masks"])
    table = store.index[["subject", "patient", "split"]]
    # further scans of training persons, of which there are masks alone
    more = [{"subject": f"{person}_masks", "patient": person, "split": "labels_only"} for person in ("p1", "p2")]
    split = pd.concat([table, pd.DataFrame(more)])
    for subject, judge in zip(subjects, judges(split, subjects), strict=True):
        seen: set[str] = set()
        real_part(store, "all", seen, int(judge))
        assert seen
        assert {name[:2] for name in seen}.isdisjoint({subject[:2]})


def test_one_training_patient_has_no_other_half(store):
    store.index["split"] = ["train", *["test"] * (len(store.index) - 1)]
    with pytest.raises(ConfigError, match=r"synthesis\.keep: the gate needs two training patients or more"):
        real_part(store, "all", set(), 1)


def test_limits_are_of_training_slices_alone(store):
    low, high = hu_limits(store, 5, GateSettings(min_pixels=4, hu_percentile=0))
    assert low.tolist()[1:4] == [100, 200, 300]
    assert high.tolist()[1:4] == [104, 204, 304]  # not those of test and of labels alone
    assert np.isnan(low[[0, 4]]).all()


def test_an_organ_that_no_training_slice_has_is_not_outside():
    labels = square(4, 0, 0)
    limits = tuple(np.append(ends, np.nan) for ends in LIMITS)
    assert score(hu_of(labels)[None], labels[None], labels[None], limits, SETTINGS)["keep"].all()


def test_a_gate_that_drops_everything_says_why():
    labels = square(1, 2, 3)
    table = score(hu_of(labels, 500)[None], labels[None], np.zeros_like(labels)[None], LIMITS, SETTINGS)
    with pytest.raises(CohortError, match="drops all 1 slices: organs_missing 1, hu_outside 1; raise the shares"):
        require_some(table, SETTINGS, "pivm, slices")


def test_the_control_keeps_as_many(tmp_path):
    table = pd.DataFrame({"keep": [True] * 7 + [False] * 13})
    control = drop_at_random(table, 3)
    assert control["keep"].sum() == 7
    assert not control["keep"].equals(table["keep"])
    assert drop_at_random(table, 3).equals(control)


def test_a_segmenter_learns_from_kept_slices_alone(tmp_path):
    stack = np.arange(5, dtype=np.int16)[:, None, None] * np.ones((1, 4, 4), np.int16)
    np.save(tmp_path / "hu.npy", stack)
    np.save(tmp_path / "labels.npy", stack.astype(np.uint8))
    pd.DataFrame({"source_subject": list("abcde")}).to_csv(tmp_path / "index.csv", index=False)
    pd.DataFrame({"keep": [False, True, False, True, True]}).to_csv(tmp_path / "gate.csv", index=False)
    part = synthetic_part(tmp_path, set(), tmp_path / "gate.csv")
    slices = TrainingSlices([part])
    assert len(slices) == 3
    hu, labels = slices.batch(torch.arange(3))
    assert hu[:, 0, 0].tolist() == labels[:, 0, 0].tolist() == [1, 3, 4]
