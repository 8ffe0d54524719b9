"""Scans that hold the same voxels are found, whatever their names, headers and axes."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from pivm.cohort.preparation import prepare_subject
from pivm.cohort.record import SubjectRecord
from pivm.cohort.twins import hu_hash, twins
from pivm.datasets import Dataset
from pivm.labels import LabelSet

from tests.conftest import ORGANS, make_scan, save_nifti

HU = np.random.default_rng(0).normal(0, 100, (7, 8, 9)).astype(np.int16)
TURNS = [(order, flips) for order in itertools.permutations(range(3)) for flips in itertools.product((1, -1), repeat=3)]


@pytest.mark.parametrize(("order", "flips"), TURNS)
def test_turned_copies_share_their_hash(order, flips):
    turned = HU.transpose(order)[tuple(slice(None, None, step) for step in flips)]
    assert hu_hash(turned) == hu_hash(HU)


def test_one_voxel_or_its_place_makes_another_scan():
    brighter, moved = HU.copy(), HU.copy()
    brighter[3, 4, 5] += 1
    moved[3, 4, 5], moved[4, 4, 5] = HU[4, 4, 5], HU[3, 4, 5]
    assert len({hu_hash(hu) for hu in (HU, brighter, moved, HU[1:], HU.reshape(8, 7, 9))}) == 5


def test_twins_are_grouped_and_scans_without_ct_are_nobodys():
    hashes = {"d": "1", "a": "2", "c": "1", "b": "2", "e": "3", "f": "", "g": ""}
    records = [SubjectRecord(name, hu_hash=value) for name, value in hashes.items()]
    assert twins(records) == [("a", "b"), ("c", "d")]
    assert twins([]) == []


def test_a_copy_with_another_affine_and_other_axes_is_a_twin(tmp_path, selection, quality):
    make_scan(tmp_path / "one")
    make_scan(tmp_path / "other", seed=1)
    make_scan(tmp_path / "copy")
    for path in [tmp_path / "copy/ct.nii.gz", *(tmp_path / "copy/segmentations").iterdir()]:
        image = nib.load(path)
        affine = image.affine.copy()
        affine[:3, 3] = 30, -70, 12
        moved = nib.Nifti1Image(np.asarray(image.dataobj), affine)
        turn = nib.orientations.axcodes2ornt("PSL")
        turned = moved.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(affine), turn))
        save_nifti(np.asarray(turned.dataobj), path, turned.affine)
    listing = Dataset("mine", {"layout": "totalsegmentator", "path": str(tmp_path)}).listing()
    records = [prepare_subject(n, s, LabelSet(ORGANS), 32, selection, quality)[0] for n, s in listing.subjects.items()]
    assert {r.status for r in records} == {"selected"}
    assert twins(records) == [("copy", "one")]
