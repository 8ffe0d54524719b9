"""Outlines that are estimated from labels, and how far they lie from the organs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pivm.errors import StateError
from pivm.scans.outline import OutlineMargins, outline_from_labels


def test_margins_are_those_between_the_boxes():
    labels, body = np.zeros((2, 40, 40), np.uint8), np.zeros((2, 40, 40), bool)
    labels[:, 15:25, 12:28] = 3
    body[0, 5:27, 8:32], body[1, 7:27, 10:30] = True, True
    fitted = OutlineMargins.fit(labels, body, np.array([2.0, 2.0]), np.array(["a", "b"]))
    assert fitted.mean_mm.tolist() == [18.0, 4.0, 6.0]
    estimate = outline_from_labels(labels, 2.0, (18.0, 4.0, 6.0))
    rows, columns = np.flatnonzero(estimate[0].any(1)), np.flatnonzero(estimate[0].any(0))
    assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (6, 27, 9, 31)
    assert estimate[labels > 0].all()


def test_margins_follow_the_organs_and_patients():
    """Patients a and b: the margin in front is 30 mm less half the height of the organs; all of b's are 8 mm wider."""
    labels, body = np.zeros((80, 60, 60), np.uint8), np.zeros((80, 60, 60), bool)
    patients, heights = np.repeat(["a", "b"], 40), np.tile([8, 12, 16, 20], 20)
    for i, height in enumerate(heights):
        wider = 4 * (patients[i] == "b")
        labels[i, 30 - height : 30, 24:36] = 1
        body[i, 30 - height - (15 - height // 2) - wider : 34 + wider, 18 - wider : 42 + wider] = True
    fitted = OutlineMargins.fit(labels, body, np.full(80, 2.0), patients)
    assert fitted.slopes[0, 0] == pytest.approx(-0.5, abs=0.08)
    assert np.abs(fitted.slopes[:, 1:]).max() < 0.01
    np.testing.assert_allclose(fitted.patients_mm, [[-4] * 3, [4] * 3], atol=0.01)
    drawn = {seed: fitted.draw(labels[:4], 2.0, seed) for seed in range(20)}
    assert {tuple(m[:, 1].round()) for m in drawn.values()} == {(8.0,) * 4, (16.0,) * 4}  # posterior, of a and of b
    np.testing.assert_array_equal(drawn[3], fitted.draw(labels[:4], 2.0, 3))
    first = drawn[0][:, 0]
    assert first[0] - first[3] == pytest.approx(12, abs=2)
    outlines = outline_from_labels(labels[:4], 2.0, drawn[0])
    tops = [np.flatnonzero(one.any(1))[0] for one in outlines]
    expected = [30 - height - margin / 2 for height, margin in zip(heights[:4], first, strict=True)]
    np.testing.assert_allclose(tops, expected, atol=1.01)


def test_without_a_training_slice_margins_are_none():
    fitted = OutlineMargins.fit(np.zeros((1, 8, 8), np.uint8), np.ones((1, 8, 8), bool), np.ones(1), np.array(["a"]))
    assert not fitted.draw(np.ones((2, 8, 8), np.uint8), 1.0, 0).any()


def test_no_organ_at_all_has_no_outline():
    assert not outline_from_labels(np.zeros((2, 16, 16), np.uint8), 2.0, (1.0, 1.0, 1.0)).any()


def test_margins_travel_as_json():
    rng = np.random.default_rng(0)
    labels, body = np.zeros((12, 40, 40), np.uint8), np.zeros((12, 40, 40), bool)
    for i, (top, left, wider) in enumerate(rng.integers(3, 9, (12, 3))):
        labels[i, 10 + top : 25, 10 + left : 30] = 1
        body[i, 10 - wider : 26 + wider, 10 - wider : 30 + wider] = True
    fitted = OutlineMargins.fit(labels, body, np.full(12, 1.5), np.repeat(["a", "b", "c"], 4))
    mean_mm, by_box = json.loads(json.dumps([fitted.mean_mm.tolist(), fitted.by_box()]))
    read = OutlineMargins.of(mean_mm, by_box)
    for seed in range(5):
        np.testing.assert_array_equal(read.draw(labels, 1.5, seed), fitted.draw(labels, 1.5, seed))


def test_margins_of_a_mean_alone_are_the_same_for_all():
    """Models of earlier versions know no more."""
    labels = np.zeros((3, 20, 20), np.uint8)
    labels[0, 5:9, 5:9], labels[1, 2:18, 2:18] = 1, 1
    drawn = OutlineMargins.of((20.0, 10.0, 15.0), {}).draw(labels, 2.0, 7)
    np.testing.assert_array_equal(drawn, [(20.0, 10.0, 15.0)] * 3)


@pytest.mark.parametrize(
    ("mean_mm", "change"),
    [
        ((1.0, 2.0), {}),
        (("x", 1, 1), {}),
        ((1.0, 2.0, float("inf")), {}),
        ((1.0, 2.0, 3.0), {"slopes": [[0.0] * 3]}),
        ((1.0, 2.0, 3.0), {"patients_mm": []}),
        ((1.0, 2.0, 3.0), {"patients_mm": [[0.0, 0.0]] * 3}),
        ((1.0, 2.0, 3.0), {"box_mm": [float("nan"), 1.0]}),
        ((1.0, 2.0, 3.0), {"depth_mm": [1.0]}),
    ],
)
def test_margins_that_are_none_are_refused(mean_mm, change):
    with pytest.raises(StateError, match="no margins of outlines"):
        OutlineMargins.of(mean_mm, change)


@pytest.mark.parametrize("step_mm", [2.0, 5.0])
def test_the_skin_of_a_volume_has_no_step_where_an_organ_ends(step_mm):
    """Half of the slices show a wide organ, the others a narrow one."""
    n = round(400 / step_mm)
    labels = np.zeros((n, 64, 64), np.uint8)
    labels[: n // 2, 24:40, 12:52], labels[n // 2 :, 24:40, 24:40] = 1, 2
    margins = (24.0, 24.0, 24.0)
    apart = outline_from_labels(labels, 6.0, margins)
    volume = outline_from_labels(labels, 6.0, margins, step_mm)
    assert volume[labels > 0].all()
    for end in (0, -1):  # far from the step nothing changes
        np.testing.assert_array_equal(volume[end], apart[end])
    widths, step = volume.any(1).sum(1), apart.any(1).sum(1)
    assert np.abs(np.diff(step)).max() == 24
    # a Gaussian step of 24 pixels: steepest by 24 / (sqrt(2 pi) sigma) a slice; organs themselves stay inside
    free = slice(n // 2, None)
    assert np.abs(np.diff(widths[free])).max() <= 2 * np.ceil(24 * step_mm / (np.sqrt(2 * np.pi) * 40) / 2) + 2
    assert (np.diff(widths[free]) <= 0).all()
