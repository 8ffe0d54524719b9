"""A body that lies the wrong way round against its header is found by its organs, a sound one is left alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.preparation import prepare_subject
from pivm.datasets import Dataset
from pivm.datasets.phantom.scan import scan_patient
from pivm.errors import DataError
from pivm.labels import ORGANS_13, ORGANS_34, LabelSet
from pivm.scans.anatomy import Misplaced, check_anatomy, misplaced_organs
from pivm.scans.label_maps import merge_masks
from pivm.scans.nifti import write_volume

from tests.conftest import QUALITY, SELECTION

LABELS = LabelSet(ORGANS_34)
ASIDE = dict.fromkeys(("left_right", "front_back", "up_down"), "aside")
WAYS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
    if (order, signs) != ((0, 1, 2), (1, 1, 1))
]


@pytest.fixture(scope="module")
def body() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hu, labels, affine, _ = scan_patient(3, 0, 48, 8.0)
    return hu, labels, affine


def turn(array: np.ndarray, order, signs) -> np.ndarray:
    return array.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]


def faulty(labels: np.ndarray, spacing, label_set: LabelSet = LABELS) -> list[str]:
    return [axis for axis, n in misplaced_organs(labels, label_set, spacing).items() if n.wrong > n.pairs / 2]


def test_a_sound_body_has_no_pair_out_of_place(body):
    _, labels, affine = body
    found = misplaced_organs(labels, LABELS, nib.affines.voxel_sizes(affine))
    assert {name: n.wrong for name, n in found.items()} == {"left_right": 0, "front_back": 0, "up_down": 0}
    assert all(n.pairs > 5 for n in found.values())


@pytest.mark.parametrize(("order", "signs"), WAYS)
def test_every_other_way_round_is_found(body, order, signs):
    _, labels, affine = body
    spacing = nib.affines.voxel_sizes(affine)
    assert faulty(turn(labels, order, signs), tuple(spacing[list(order)]))


@pytest.mark.parametrize(("axis", "name"), enumerate(ASIDE))
@pytest.mark.parametrize("organs", [ORGANS_34, ORGANS_13], ids=["34", "13"])
def test_a_mirrored_axis_is_named(body, axis, name, organs):
    _, labels, affine = body
    known = np.where(labels <= len(organs), labels, 0).astype(np.uint8)
    assert faulty(np.flip(known, axis), nib.affines.voxel_sizes(affine), LabelSet(organs)) == [name]


@given(st.sets(st.integers(1, 34)), st.integers(0, 30), st.integers(8, 40))
def test_a_part_of_a_sound_body_is_left_alone(body, kept, first, depth):
    _, labels, affine = body
    part = np.where(np.isin(labels, list(kept)), labels, 0).astype(np.uint8)[:, :, first : first + depth]
    assert faulty(part, nib.affines.voxel_sizes(affine)) == []


def test_organs_that_are_not_there_or_not_known_are_not_looked_at():
    empty = np.zeros((9, 9, 9), np.uint8)
    assert set(misplaced_organs(empty, LABELS, (1.0, 1.0, 1.0)).values()) == {Misplaced(0, 0)}
    assert faulty(empty, (1.0, 1.0, 1.0), LabelSet(("liver", "tumour"))) == []


@pytest.mark.parametrize("axis", ASIDE)
def test_most_pairs_must_be_wrong_and_each_axis_can_be_kept(axis):
    found = dict.fromkeys(ASIDE, Misplaced(0, 5)) | {axis: Misplaced(3, 5)}
    with pytest.raises(DataError, match=rf"in 3 of 5 pairs.*quality\.{axis}: aside"):
        check_anatomy(found, ASIDE)
    check_anatomy(found, ASIDE | {axis: "keep"})
    check_anatomy(found | {axis: Misplaced(2, 4)}, ASIDE)


def write_turned(folder: Path, body, axis: int | None) -> None:
    hu, labels, affine = body
    turned = [array if axis is None else np.flip(array, axis) for array in (hu, labels)]
    write_volume(turned[0], affine, folder / "ct.nii.gz")
    for k, organ in enumerate(ORGANS_34, start=1):
        write_volume((turned[1] == k).astype(np.uint8), affine, folder / "segmentations" / f"{organ}.nii.gz")


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_a_scan_is_set_aside_with_the_axis_or_kept_and_counted(tmp_path, body, axis):
    write_turned(tmp_path / "p", body, axis)
    subject = Dataset("mine", {"layout": "totalsegmentator", "path": str(tmp_path)}).listing().subjects["p"]
    record = prepare_subject("p", subject, LABELS, 32, SELECTION, QUALITY)[0]
    if axis is None:
        assert (record.status, record.swapped_pairs, record.turned_pairs) == ("selected", 0, 0)
        return
    name = list(ASIDE)[axis]
    assert record.status == "set aside"
    assert f"quality.{name}: aside" in record.reason
    kept = prepare_subject("p", subject, LABELS, 32, SELECTION, replace(QUALITY, **{name: "keep"}))[0]
    assert kept.status == "selected"
    assert (kept.swapped_pairs if axis == 0 else kept.turned_pairs) > 0


@pytest.mark.parametrize("folder", ["ct_sample/ts_example_ct", "ct_sample/ts_example_dicom", "labels_trunk/s0327"])
def test_real_bodies_lie_as_they_should(real_ct, folder):
    from pivm.datasets.totalsegmentator import mask_files
    from pivm.scans.label_maps import Policy

    place = real_ct.parent / folder / "segmentations"
    if not place.is_dir():
        pytest.skip(f"{place} does not exist")
    masks = {LABELS.id_of(o): p for o, p in mask_files(str(place), ORGANS_34).places.items()}
    merged = merge_masks(masks, None, Policy())
    assert faulty(merged.array, merged.grid.spacing) == []
    for axis, name in enumerate(ASIDE):
        if (axis, folder) != (2, "ct_sample/ts_example_dicom"):  # 20 slices
            assert faulty(np.flip(merged.array, axis), merged.grid.spacing) == [name]
