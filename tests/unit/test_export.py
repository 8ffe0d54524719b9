"""Exported data sets, read back by this project's own adapters."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.datasets import Dataset, read_ct, read_labels
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.synthesis.export import FORMS, Reading, export_nnunet, export_totalsegmentator
from pivm.synthesis.folds import folds, label_sources
from pivm.synthesis.marks import DESCRIPTION, facts_beside, read_marks, write_synthetic_ct
from pivm.synthesis.volumes import write_provenance

from tests.conftest import ORGANS, make_scan

LABELS = LabelSet(ORGANS)


def export(subjects, folder, form):
    how = Reading(LABELS, Policy(), "air")
    if form == "nnunet":
        export_nnunet(subjects, {}, folder, how, [])
    else:
        export_totalsegmentator(subjects, folder, how)


@pytest.mark.parametrize("form", FORMS)
def test_what_was_exported_reads_back_the_same(tmp_path, form):
    for i in range(2):
        make_scan(tmp_path / "scans" / f"s{i}", seed=i)
    source = Dataset("a", {"layout": "totalsegmentator", "path": str(tmp_path / "scans")}).listing().subjects
    export(source, tmp_path / "out", form)
    listing = Dataset("b", {"layout": form, "path": str(tmp_path / "out")}).listing()
    assert list(listing.subjects) == list(source)
    assert listing.refused == {}
    for name, subject in listing.subjects.items():
        before, after = read_ct(source[name]), read_ct(subject)
        np.testing.assert_array_equal(after.hu, before.hu)
        np.testing.assert_allclose(after.affine, before.affine)
        one, other = (read_labels(s, LABELS, after.grid, Policy()) for s in (source[name], subject))
        np.testing.assert_array_equal(one.array, other.array)
        assert other.files == set(ORGANS)


@pytest.mark.parametrize("form", FORMS)
def test_a_synthetic_ct_keeps_its_marks_and_a_scan_has_none(tmp_path, form):
    for name in ("scan", "made"):
        make_scan(tmp_path / "scans" / name)
    ct = tmp_path / "scans" / "made" / "ct.nii.gz"
    before = read_ct(ct_of := Dataset("a", {"layout": "totalsegmentator", "path": str(tmp_path / "scans")})
                     .listing().subjects["made"])  # fmt: skip
    write_synthetic_ct(before.hu, before.affine, ct, {"seed": 7, "source": "p <1>"})
    np.testing.assert_array_equal(read_ct(ct_of).hu, before.hu)
    subjects = Dataset("a", {"layout": "totalsegmentator", "path": str(tmp_path / "scans")}).listing().subjects
    export(subjects, tmp_path / "out", form)
    for name, text in (("made", DESCRIPTION), ("scan", "")):
        place = {"nnunet": f"imagesTr/{name}_0000.nii.gz", "totalsegmentator": f"{name}/ct.nii.gz"}[form]
        assert nib.load(tmp_path / "out" / place).header["descrip"].item().decode() == text
    if form == "nnunet":
        facts = json.loads((tmp_path / "out" / "synthetic.json").read_text())
        assert list(facts) == ["made"]
        assert len(list((tmp_path / "out" / "imagesTr").iterdir())) == 2
        facts = facts["made"]
    else:
        assert read_marks(tmp_path / "out" / "scan" / "ct.nii.gz") is None
        facts = read_marks(tmp_path / "out" / "made" / "ct.nii.gz")
    assert (facts["synthetic"], facts["seed"], facts["source"]) == (True, 7, "p <1>")


def test_the_mark_fits_the_header_and_its_file_stands_beside():
    assert len(DESCRIPTION) < 80
    assert facts_beside("a/ct.v1.nii.gz").as_posix() == "a/ct.v1.json"
    assert facts_beside("ct.nii").as_posix() == "ct.json"
    assert read_marks("") is None


PERSONS = st.lists(st.sampled_from("abcdefgh"), max_size=12)


@given(PERSONS, PERSONS)
def test_folds_validate_on_every_real_scan_once_and_never_train_on_its_person(real, twins):
    persons = {f"r{i}": person for i, person in enumerate(real)} | {f"s{i}": person for i, person in enumerate(twins)}
    found = folds(persons, {f"s{i}" for i in range(len(twins))})
    assert len(found) == (min(5, len(set(real))) if len(set(real)) > 1 else 0)
    validated = [case for fold in found for case in fold["val"]]
    assert sorted(validated) == (sorted(case for case in persons if case[0] == "r") if found else [])
    for fold in found:
        held_out = {persons[case] for case in fold["val"]}
        assert set(fold["train"]) == {case for case, person in persons.items() if person not in held_out}
        assert fold["train"]


@given(PERSONS, st.sets(st.sampled_from("ij"), min_size=1), PERSONS)
def test_with_validation_patients_there_is_one_fold_that_trains_on_all_others(real, validation, twins):
    persons = {f"r{i}": person for i, person in enumerate(real)} | {f"s{i}": person for i, person in enumerate(twins)}
    held_out = {f"v{person}": person for person in validation}
    (fold,) = folds(persons | held_out, {f"s{i}" for i in range(len(twins))}, held_out)
    assert set(fold["val"]) == set(held_out)
    assert set(fold["train"]) == set(persons)


def test_the_source_of_a_synthetic_volume_is_read_from_its_table(tmp_path):
    write_provenance([{"image_id": "007_pivm", "source": "007", "generator": "pivm"}], tmp_path / "meta.csv")
    assert label_sources(tmp_path) == {"007_pivm": "007"}
