"""Virtual patients: nothing folds, nothing tears, organs differ as those of patients do."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pivm.cohort.store import SliceStore
from pivm.errors import CohortError
from pivm.scans.inplane import AIR_HU
from pivm.synthesis.settings import AnatomySettings
from pivm.synthesis.virtual.deformation import Grid, warp_hu, warp_labels, warp_mask
from pivm.synthesis.virtual.patients import LEAST_JACOBIAN, Stack, virtual_patient
from pivm.synthesis.virtual.spread import FEW_LOG_VOLUME, AnatomySpread, fit_spread, whole_organs
from pivm.synthesis.virtual.stacks import virtual_patients
from pivm.synthesis.virtual.tears import PIECE_VOXELS, SMALL_VOXELS, bridged, torn, without_specks
from scipy import ndimage

SPACING = (5.0, 5.0, 5.0)
SHAPE = (24, 48, 48)
#: ids of the toy: two paired organs, one in front, a thin vessel, three vertebrae
LEFT, RIGHT, FRONT, VESSEL, LOW, MIDDLE, HIGH = range(1, 8)
BONES = (LOW, MIDDLE, HIGH)


def ball(centre, radius) -> np.ndarray:
    axes = np.ogrid[tuple(slice(n) for n in SHAPE)]
    return sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radius, strict=True)) <= 1


def toy(scale: float = 1.0, shift: float = 0.0) -> Stack:
    labels = np.zeros(SHAPE, np.uint8)
    labels[ball((12, 24 + shift, 14), (6 * scale, 5 * scale, 5 * scale))] = RIGHT
    labels[ball((13, 24 + shift, 34), (5 * scale, 5 * scale, 4 * scale))] = LEFT
    labels[ball((9, 15, 24), (5, 3, 6))] = FRONT
    labels[2:22, 26:28, 22:24] = VESSEL
    for bone, low in zip(BONES, (2, 9, 16), strict=True):
        labels[low : low + 6, 31:37, 21:28] = bone
    body = ball((12, 24, 24), (60, 20, 22))
    hu = np.where(body, 40, -1024).astype(np.int16) + labels.astype(np.int16) * 10
    return Stack(labels, body, hu, SPACING)


SPREAD = AnatomySpread({0: 0.25}, {0: 8.0}, 0.06)


def deformed(seed: int, stack: Stack | None = None, **changes):
    return virtual_patient(stack or toy(), BONES, AnatomySettings(**changes), SPREAD, seed, "p1")


def pieces(mask) -> int:
    parts, n = ndimage.label(mask, np.ones((3, 3, 3)))
    return sum(int((parts == i + 1).sum() >= PIECE_VOXELS) for i in range(n))


class TestDeformation:
    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.floats(1, 5))
    def test_the_flow_against_the_field_undoes_it(self, seed, strength):
        grid = Grid((24, 60, 60), (5.0, 3.0, 3.0))
        noise = grid.smooth(np.random.default_rng(seed).normal(size=(3, *grid.coarse_shape)).astype(np.float32), 20)
        velocity = strength * noise / noise.std()
        there, back = grid.exponential(velocity), grid.exponential(-velocity)
        scale = np.array(grid.coarse_mm)[:, None, None, None]
        base = np.stack(np.meshgrid(*map(np.arange, grid.coarse_shape), indexing="ij")) * scale
        places = (base + back) / scale
        moved = np.stack([ndimage.map_coordinates(m, places, order=1, mode="nearest") for m in there])
        inside = (slice(None), slice(3, -3), slice(4, -4), slice(4, -4))
        assert np.abs(moved + back)[inside].mean() < 0.1 * max(np.abs(there)[inside].mean(), 0.5)
        assert grid.smallest_jacobian(there) > 0

    def test_no_field_changes_nothing(self):
        stack = toy()
        grid = Grid(SHAPE, SPACING)
        places = grid.places(grid.exponential(np.zeros((3, *grid.coarse_shape), np.float32)))
        assert np.array_equal(warp_labels(stack.labels, places), stack.labels)
        assert np.array_equal(warp_mask(stack.body, places), stack.body)
        assert np.array_equal(warp_hu(stack.hu, places), stack.hu)

    @pytest.mark.parametrize("spacing", [SPACING, (5.0, 2.0, 2.0)])
    def test_a_shift_by_whole_voxels_is_exact(self, spacing):
        """Also where the field lives on a coarser grid."""
        stack, grid = toy(), Grid(SHAPE, spacing)
        field = np.zeros((3, *grid.coarse_shape), np.float32)
        field[2] = 3 * spacing[2]
        places = grid.places(grid.exponential(-field))
        assert np.array_equal(warp_labels(stack.labels, places)[..., 3:], stack.labels[..., :-3])
        assert np.array_equal(warp_hu(stack.hu, places)[..., 3:], stack.hu[..., :-3])


class TestPatients:
    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 2**32 - 1))
    def test_topology_order_and_outline_hold(self, seed):
        before, after = toy(), deformed(seed).stack
        for organ in range(1, 8):
            assert pieces(after.labels == organ) == pieces(before.labels == organ) == 1
            assert (after.labels == organ).sum() >= SMALL_VOXELS
        middle = {organ: np.argwhere(after.labels == organ).mean(0) for organ in range(1, 8)}
        assert middle[LOW][0] < middle[MIDDLE][0] < middle[HIGH][0]
        assert middle[RIGHT][2] < middle[VESSEL][2] < middle[LEFT][2]
        assert middle[FRONT][1] < middle[VESSEL][1] < middle[MIDDLE][1]
        assert after.body[after.labels > 0].all()

    def test_a_seed_makes_one_patient(self):
        one, same, other = deformed(3), deformed(3), deformed(4)
        assert np.array_equal(one.stack.labels, same.stack.labels)
        assert np.array_equal(one.stack.hu, same.stack.hu)
        assert not np.array_equal(one.stack.labels, other.stack.labels)
        assert json.loads(one.described()) == json.loads(same.described())
        assert one.transform["jacobian"] >= LEAST_JACOBIAN

    def test_strength_nought_is_the_patient(self):
        assert np.array_equal(deformed(1, strength=0).stack.labels, toy().labels)

    def test_the_ct_moves_with_its_labels(self):
        after = deformed(5).stack
        for organ in (LEFT, RIGHT, FRONT):
            inside = ndimage.binary_erosion(after.labels == organ, iterations=2)
            assert inside.any()
            assert np.median(after.hu[inside]) == 40 + 10 * organ

    def test_organs_differ_as_much_as_they_are_told_to(self):
        def log_volumes(settings_of: dict) -> np.ndarray:
            found = [whole_organs(deformed(seed, **settings_of).stack.labels)[LEFT][0] for seed in range(14)]
            return np.log(found)

        alone = {"warp_mm": 0, "shift_mm": 0, "girth": 1, "organ_scale": (0.5, 2.0)}
        full, half = np.std(log_volumes(alone)), np.std(log_volumes({**alone, "strength": 0.5}))
        assert 0.3 * SPREAD.log_volume[0] < full < 1.5 * SPREAD.log_volume[0]
        assert half < full

    def test_a_strength_that_tears_is_refused_with_the_largest_that_holds(self):
        with pytest.raises(
            CohortError, match=r"strength: 10 tears p1 \(.*\) in all of 12 draws down to half of it; the largest"
        ) as e:
            deformed(1, strength=10, warp_length_mm=5, warp_mm=20)
        largest = float(str(e.value).rsplit(" ", 1)[1])
        assert 0 <= largest < 10

    @settings(max_examples=5, deadline=None)
    @given(st.integers(0, 2**32 - 1))
    def test_what_the_scan_cut_stays_cut_there(self, seed):
        """Organs, outline and HU go on to the first and the last slice, and nothing comes in there."""
        stack = toy()
        cut = Stack(stack.labels[9:13], stack.body[9:13], stack.hu[9:13], SPACING)
        after = deformed(seed, cut).stack
        for end in (0, -1):
            assert set(np.unique(after.labels[end])) == set(np.unique(cut.labels[end]))
            assert after.body[end].any()

    def test_beyond_the_sides_of_a_slice_is_air(self):
        """A patient who touches the side and becomes slimmer leaves it: labels, outline and HU alike."""
        grid = Grid((6, 20, 20), (5.0, 8.0, 8.0))
        field = np.zeros((3, *grid.coarse_shape), np.float32)
        field[2] = 24.0
        places = grid.places(grid.exponential(-field))
        full = np.ones(grid.shape, np.uint8)
        for moved in (warp_labels(full, places) > 0, warp_mask(full > 0, places), warp_hu(full * 40, places) == 40):
            assert not moved[..., :3].any()
            assert moved[..., 3:].all()
        assert (warp_hu(full * 40, places)[..., :3] == AIR_HU).all()

    def test_fields_leave_the_ends_of_the_stack_where_they_are(self):
        grid = Grid((15, 20, 20), (5.0, 3.0, 3.0))
        velocity = grid.keeping_ends(np.full((3, *grid.coarse_shape), 6.0, np.float32))
        places = grid.places(grid.exponential(velocity))
        assert np.abs(places[0, 0]).max() < 1e-4
        assert np.abs(places[0, -1] - 14).max() < 1e-4
        assert (np.diff(places[0], axis=0) > 0).all()

    def test_a_single_slice_and_a_patient_without_organs(self):
        stack = toy()
        one = Stack(stack.labels[12:13], stack.body[12:13], None, SPACING)
        assert deformed(2, one).stack.labels.shape == one.labels.shape
        assert deformed(2, one).stack.hu is None
        empty = Stack(np.zeros_like(stack.labels), stack.body, None, SPACING)
        assert not deformed(2, empty).stack.labels.any()


class TestTorn:
    def test_each_kind_is_named(self):
        before, body = toy().labels, toy().body
        assert torn(before, before, body) == ""
        lost = np.where(before == FRONT, 0, before)
        assert torn(before, lost, body) == f"label {FRONT} is lost"
        split = before.copy()
        split[12, :, :][split[12] == VESSEL] = 0
        assert torn(before, split, body) == f"label {VESSEL} falls into pieces"
        assert torn(before, before, np.zeros_like(body)) == f"label {LEFT} leaves the body"

    def test_specks_become_body_and_real_pieces_stay(self):
        before = toy().labels
        speck = before.copy()
        speck[0, 0, 0] = RIGHT
        assert np.array_equal(without_specks(before, speck), before)
        split = before.copy()
        split[12, :, :][split[12] == VESSEL] = 0
        assert np.array_equal(without_specks(before, split), split)

    def test_a_thin_organ_that_lies_between_voxels_is_connected_again(self):
        """Between thick ends a line, which fills less than half of any voxel after a shift, and which is cut there."""
        before = np.zeros(SHAPE, np.uint8)
        before[10:13, 23:26, 8:12] = before[10:13, 23:26, 30:34] = before[11, 24, 12:30] = VESSEL
        shift = np.array([0.6, 0.6, 0]).reshape(3, 1, 1, 1)
        places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij")) + shift
        after = warp_labels(before, np.clip(places, 0, np.array(SHAPE).reshape(3, 1, 1, 1) - 1))
        assert pieces(after == VESSEL) == 1
        after[..., 20:22] = 0
        assert pieces(after == VESSEL) == 2
        mended = bridged(before, after, places)
        assert pieces(mended == VESSEL) == 1
        assert (mended == VESSEL).sum() < 2.5 * (before == VESSEL).sum()
        assert np.array_equal(bridged(before, before, places), before)

    def test_a_small_piece_may_grow(self):
        before = toy().labels
        before[0, 0, 0] = RIGHT
        after = before.copy()
        after[0, :2, :2] = RIGHT
        assert torn(before, after, np.ones(SHAPE, bool)) == ""


class TestSpread:
    def test_it_is_that_of_the_patients(self):
        stacks = [toy(scale, shift) for scale, shift in ((0.9, -2), (1.0, 0), (1.1, 2), (1.05, 1), (0.95, -1)) * 8]
        spread = fit_spread([(s.labels, s.body, s.spacing_mm) for s in stacks], BONES)
        volumes = [np.log((s.labels == LEFT).sum()) for s in stacks]
        assert spread.of(spread.log_volume, LEFT) == pytest.approx(np.std(volumes, ddof=1), rel=0.15)
        assert spread.of(spread.log_volume, LEFT) > 5 * spread.of(spread.log_volume, FRONT)
        assert spread.of(spread.place_mm, LEFT) > spread.of(spread.place_mm, MIDDLE)

    def test_one_patient_tells_nothing(self):
        spread = fit_spread([(toy().labels, toy().body, SPACING)], BONES)
        assert spread.of(spread.log_volume, LEFT) == FEW_LOG_VOLUME


def test_virtual_patients_are_of_training_scans_in_turn(tmp_path):
    names = ["a", "b", "c"]
    frames, arrays = [], []
    for name in names:
        stack = toy()
        z = np.array([4, 12, 20])
        rows = pd.DataFrame({"subject": name, "patient": name, "split": "train", "z": z, "role": "target"})
        frames.append(rows.assign(previous=-1, pixel_mm=5.0, step_mm=40.0, below_mm=5.0))
        arrays.append({"hu": stack.hu[z], "labels": stack.labels[z], "body": stack.body[z]})
    SliceStore.write(tmp_path / "store", zip(frames, arrays, strict=True), SHAPE[1])
    store, asked = SliceStore(tmp_path / "store", {"a": "train", "b": "train", "c": "test"}), []

    def read(name: str) -> Stack:
        asked.append(name)
        return toy()

    transforms: dict[str, str] = {}
    made = virtual_patients(store, read, BONES, AnatomySettings(), SPREAD, 10, 1, transforms)
    SliceStore.write(tmp_path / "virtual", made, SHAPE[1])
    virtual = SliceStore(tmp_path / "virtual")
    assert sorted(asked) == ["a", "a", "b", "b"]  # nobody of the test
    assert set(virtual.index["subject"]) == {"a_v1", "a_v2", "b_v1", "b_v2"} == set(transforms)
    assert len(virtual.rows("train")) == 12
    assert (virtual.index["source_subject"] == virtual.index["subject"].str[0]).all()
    first, second = (virtual.labels[(virtual.index["subject"] == name).to_numpy()] for name in ("a_v1", "a_v2"))
    assert not np.array_equal(first, second)
