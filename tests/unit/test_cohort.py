"""Selection, split and leak checks."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.preparation import prepare_subject
from pivm.cohort.record import SubjectRecord
from pivm.cohort.selection import choose_slices, label_table, selection_table
from pivm.cohort.split import SplitSettings, read_split, require_split, split_patients
from pivm.datasets import Dataset
from pivm.errors import CohortError, ConfigError, DataError, StateError
from pivm.labels import LabelSet
from pivm.settings import read_settings

from tests.conftest import ORGANS, make_scan, save_nifti

RANDOM = SplitSettings(val=2, test=3)
LABELS = LabelSet(ORGANS)


def names(n):
    return [f"s{i:04d}" for i in range(n)]


def alone(scans):
    """Each scan is a person of its own."""
    return {name: name for name in scans}


@given(n=st.integers(6, 60), seed=st.integers(0, 99))
def test_split_has_the_asked_sizes_and_every_patient_once(n, seed):
    table = split_patients(alone(names(n)), replace(RANDOM, seed=seed), {})
    assert table["split"].value_counts().to_dict() == {"test": 3, "val": 2, "train": n - 5}
    assert sorted(table["subject"]) == names(n)


def test_one_more_patient_moves_at_most_the_borders():
    before = split_patients(alone(names(40)), RANDOM, {}).set_index("subject")["split"]
    after = split_patients(alone([*names(40), "new"]), RANDOM, {}).set_index("subject")["split"]
    assert (before != after[before.index]).sum() <= 2


def test_the_data_sets_own_split_wins():
    own = {"s0000": "train", "s0001": "test", "s0002": "val"}
    table = split_patients(alone(names(3)), RANDOM, own)
    assert dict(zip(table["subject"], table["split"], strict=True)) == own


def test_a_patient_unknown_to_the_own_split_is_an_error():
    with pytest.raises(CohortError, match=r"'s0002'.*no split in the data set's meta.csv"):
        split_patients(alone(names(3)), RANDOM, {"s0000": "train", "s0001": "test"})


def test_too_few_patients_for_the_split():
    with pytest.raises(CohortError, match="5 selected patients, but 3 for test, 2 for val"):
        split_patients(alone(names(5)), RANDOM, {})


def test_a_share_is_a_share():
    table = split_patients(alone(names(20)), replace(RANDOM, val=0.1, test=0.25), {})
    assert table["split"].value_counts().to_dict() == {"train": 13, "test": 5, "val": 2}


@pytest.mark.parametrize("wrong", [1.0, 2.7, 12.0])
def test_a_number_of_patients_is_whole(wrong):
    message = rf"split.test: found {wrong}, expected a number above 0, a whole one from 1 on"
    with pytest.raises(ConfigError, match=message):
        read_settings(SplitSettings, {"test": wrong}, "split")
    for right in (1, 3, 0.25, 0.999):
        assert read_settings(SplitSettings, {"test": right}, "split").test == right


def test_a_leak_is_caught():
    split = {"a": "train", "b": "test"}
    require_split(["a"], split, ("train",), "organ means")
    with pytest.raises(StateError, match="organ means: patient 'b' is in split 'test'"):
        require_split(["a", "b"], split, ("train",), "organ means")


def test_a_patient_in_two_splits_is_caught(tmp_path):
    table = {"subject": ["a", "a"], "patient": "a", "split": ["train", "test"]}
    pd.DataFrame(table).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(StateError, match="'a' is listed more than once"):
        read_split(tmp_path / "s.csv")


def chosen_of(first, extent, count):
    """The slices chosen of a scan whose organs lie in slices ``first`` to ``first + extent - 1``."""
    per_slice = np.zeros((first + extent + 3, 4), int)
    per_slice[first : first + extent, 1:] = 9
    return choose_slices(per_slice, count, 3)


@given(first=st.integers(0, 10), extent=st.integers(1, 60), count=st.integers(1, 20))
def test_chosen_slices_are_evenly_spaced_inside_the_labelled_extent(first, extent, count):
    chosen = chosen_of(first, extent, count)
    assert 1 <= len(chosen) <= count
    assert chosen[0] >= first
    assert chosen[-1] < first + extent
    assert len(set(np.diff(chosen))) <= 1
    below, above = chosen[0] - first, first + extent - 1 - chosen[-1]
    assert above - below in (0, 1)  # centred
    if extent <= count:
        assert len(chosen) == extent


def covered(extent, count):
    chosen = chosen_of(2, extent, count)
    return (chosen[-1] - chosen[0] + 1) / extent


@pytest.mark.parametrize("count", [10, 15, 20, 30, 60])
def test_at_least_nine_tenths_of_any_labelled_extent_are_covered(count):
    """The lowest and the highest organs are in the slices, whatever the length of the scan."""
    assert min(covered(extent, count) for extent in range(1, 601)) >= 0.9


def test_few_slices_of_a_long_scan_do_not_leave_its_ends_out():
    """With fewer than ten slices a tenth of the extent can be less than a step: never a whole step is left out then."""
    for count in range(2, 10):
        for extent in range(2, 601):
            chosen = chosen_of(2, extent, count)
            left_out = extent - (chosen[-1] - chosen[0] + 1)
            assert left_out < chosen[1] - chosen[0] or left_out <= 0.1 * extent


def test_a_long_scan_gives_nearly_all_slices_that_are_asked_for():
    assert {len(chosen_of(2, extent, 15)) for extent in range(100, 601)} == {14, 15}


def list_subjects(roots):
    return Dataset("mine", {"layout": "totalsegmentator", "path": [str(r) for r in roots]}).listing()


def prepare(folder, selection, quality, **changes):
    subject = list_subjects([folder.parent]).subjects[folder.name]
    return prepare_subject(folder.name, subject, LABELS, 32, replace(selection, **changes), quality)


def test_a_good_scan_is_cut_into_slices_with_the_ones_below(scan, selection, quality):
    record, arrays, rows = prepare(scan, selection, quality)
    assert record.status == "selected", record.reason
    assert record.slices == 5 == (rows["role"] == "target").sum()
    assert arrays["hu"].dtype == np.int16
    assert arrays["hu"].shape == (len(rows), 32, 32)
    for row in rows[rows["role"] == "target"].itertuples():
        assert rows["z"][row.previous] == row.z - 1
    assert set(np.unique(arrays["labels"])) == set(range(7))
    # 40 x 32 voxels of 4 mm: a field of 160 mm
    assert record.pixel_mm == 5.0
    assert record.step_mm == 5.0 * (rows["z"][rows["role"] == "target"].diff().dropna().iloc[0])


def test_reasons_for_setting_a_scan_aside(scan, selection, quality, tmp_path):
    cases = [
        (scan, {"axial_slices": [100, 600]}, "30 axial slices, selection.axial_slices wants 100 to 600"),
        (scan, {"min_organ_ml": 1e6}, "not an abdominal scan"),
        (scan, {"min_labels_per_slice": 9}, "no axial slice holds 9"),
        (tmp_path / "more" / "empty", {}, "no mask of any organ"),
    ]
    (tmp_path / "more" / "empty" / "segmentations").mkdir(parents=True)
    for folder, changes, reason in cases:
        record, arrays, rows = prepare(folder, selection, quality, **changes)
        assert record.status == "set aside"
        assert reason in record.reason
        assert len(rows) == 0
        assert arrays["hu"].shape == (0, 32, 32)


def test_an_empty_mask_is_normal(scan, selection, quality):
    save_nifti(np.zeros((40, 32, 30), np.uint8), scan / "segmentations" / "pancreas.nii.gz")
    record, _, _ = prepare(scan, selection, quality)
    assert record.status == "selected"
    assert "pancreas" not in record.voxels


def test_the_selection_table_lists_every_scan_with_its_reason(scan, selection, quality):
    good, _, _ = prepare(scan, selection, quality)
    bad, _, _ = prepare(scan, selection, quality, min_organ_ml=1e6)
    bad.subject = "p0"
    table = selection_table([good, bad], {"x y": "name holds other characters"})
    assert table["subject"].tolist() == ["p0", "p1", "x y"]
    assert table["status"].tolist() == ["set aside", "selected", "set aside"]
    assert table["reason"][2] == "name holds other characters"


def test_a_listed_label_without_any_mask_is_an_error_with_the_nearest_name():
    record = SubjectRecord("a", status="selected", voxels={"liver": 5}, missing=["livr"])
    labels = LabelSet(("liver", "livr"))
    with pytest.raises(ConfigError, match=r"'livr' has no mask file.*did you mean 'liver'"):
        label_table([record], labels, explicit=True)
    assert label_table([record], labels, explicit=False)["patients"].tolist() == [1, 0]


class TestListing:
    def test_no_such_folder(self, tmp_path):
        with pytest.raises(DataError, match="no such folder"):
            list_subjects([tmp_path / "nowhere"])

    def test_empty_folder(self, tmp_path):
        with pytest.raises(DataError, match="no subject found"):
            list_subjects([tmp_path])

    def test_two_subjects_of_one_name(self, tmp_path):
        for root in ("a", "b"):
            make_scan(tmp_path / root / "s1", slices=8)
        with pytest.raises(DataError, match="two subjects are named 's1'"):
            list_subjects([tmp_path / "a", tmp_path / "b"])

    def test_a_subject_listed_twice_in_meta_csv(self, tmp_path):
        make_scan(tmp_path / "s1", slices=8)
        (tmp_path / "meta.csv").write_text("image_id;split\ns1;train\ns1;test\n")
        with pytest.raises(DataError, match="'s1' is listed 2 times"):
            list_subjects([tmp_path])

    def test_hostile_names_and_strange_folders_are_refused_with_a_reason(self, tmp_path):
        make_scan(tmp_path / "good", slices=8)
        for name in ("<script>", "a b", "ünïcode"):
            make_scan(tmp_path / name, slices=8)
        (tmp_path / "notes").mkdir()
        listing = list_subjects([tmp_path])
        assert list(listing.subjects) == ["good"]
        assert len(listing.refused) == 4
        assert "neither ct.nii.gz" in listing.refused["notes"]

    def test_meta_csv_gives_the_split(self, tmp_path):
        make_scan(tmp_path / "s1", slices=8)
        (tmp_path / "meta.csv").write_text("\ufeffimage_id;age;split\ns1;60;test\n")
        assert list_subjects([tmp_path]).split == {"s1": "test"}


def test_one_voxel_changes_the_record_and_reading_again_does_not(scan, selection, quality):
    before = prepare(scan, selection, quality)[0]
    assert prepare(scan, selection, quality)[0] == before
    image = nib.load(scan / "ct.nii.gz")
    hu = np.asarray(image.dataobj).copy()
    hu[20, 15, 1] += 1  # in a slice that is not chosen
    nib.save(nib.Nifti1Image(hu, image.affine), scan / "ct.nii.gz")
    after = prepare(scan, selection, quality)[0]
    assert after.content != before.content
    assert after.hu_hash != before.hu_hash
    assert replace(after, content="", hu_hash="") == replace(before, content="", hu_hash="")
