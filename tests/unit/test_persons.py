"""A person is one unit of the split, however many scans there are of him or her."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pivm.cohort.persons import persons
from pivm.cohort.preparation import prepare_subject
from pivm.cohort.record import SubjectRecord
from pivm.cohort.selection import selection_table
from pivm.cohort.split import (
    SplitSettings,
    add_label_maps,
    draw_annotated,
    read_split,
    require_different,
    require_split,
    split_patients,
    volume_sources,
)
from pivm.datasets import Dataset
from pivm.errors import CohortError, StateError
from pivm.labels import LabelSet

from tests.conftest import ORGANS, make_scan

SETTINGS = SplitSettings(source="random", val=1, test=2)
#: a patient's ID and the hash of the HU of up to 30 scans, both of few values, or none
SCANS = st.lists(st.tuples(st.sampled_from(["", *"pqrstuvw"]), st.sampled_from(["", *"12345678"])), max_size=30)


def records_of(scans):
    return [SubjectRecord(f"s{i:02d}", patient=patient, hu_hash=hu) for i, (patient, hu) in enumerate(scans)]


@given(scans=SCANS)
def test_scans_of_one_id_or_of_the_same_voxels_are_one_person_and_no_others(scans):
    """Against the definition: connected by a chain of scans that share one or the other."""
    records = records_of(scans)
    found = persons(records)
    linked = {r.subject: {r.subject} for r in records}
    for a, b in combinations(records, 2):
        if (a.patient and a.patient == b.patient) or (a.hu_hash and a.hu_hash == b.hu_hash):
            united = linked[a.subject] | linked[b.subject]
            linked |= dict.fromkeys(united, united)
    assert found == {name: min(group) for name, group in linked.items()}


@given(scans=SCANS, seed=st.integers(0, 99))
def test_no_person_is_in_two_parts(scans, seed):
    of_person = persons(records_of(scans))
    people = len(set(of_person.values()))
    settings = replace(SETTINGS, seed=seed)
    if people < 4:
        with pytest.raises(CohortError, match=f"split: {people} selected patients.*, but 2 for test, 1 for val"):
            split_patients(of_person, settings, {})
        return
    table = split_patients(of_person, settings, {})
    assert sorted(table["subject"]) == sorted(of_person)
    parts = table.groupby("patient")["split"].unique()
    assert all(len(part) == 1 for part in parts)
    assert parts.str[0].value_counts().to_dict() == {"test": 2, "val": 1, "train": people - 3}


def test_a_data_set_of_one_person_says_so():
    with pytest.raises(CohortError, match=r"1 selected patients with 3 scans \(column patient of .*\), but 2 for test"):
        split_patients(dict.fromkeys("abc", "a"), SETTINGS, {})


def test_one_more_scan_of_a_person_goes_where_the_others_are():
    before = split_patients({f"s{i}": f"s{i}" for i in range(9)}, SETTINGS, {})
    after = split_patients({**{f"s{i}": f"s{i}" for i in range(9)}, "t": "s4"}, SETTINGS, {})
    assert after[after["subject"] != "t"].reset_index(drop=True).equals(before)
    assert after.set_index("subject")["split"]["t"] == before.set_index("subject")["split"]["s4"]


def test_a_data_sets_own_split_that_parts_a_person_names_the_scans():
    of_person = {"a": "a", "b": "b", "c": "a", "d": "d"}
    own = {"a": "train", "b": "train", "c": "test", "d": "test"}
    with pytest.raises(CohortError, match=r"1 persons have scans in several parts.*: a in train, c in test; put the"):
        split_patients(of_person, replace(SETTINGS, source="auto"), own)
    # the person's other scan is not used, so nothing leaks
    assert len(split_patients({k: v for k, v in of_person.items() if k != "c"}, SplitSettings(), own)) == 3


def test_a_split_file_that_parts_a_person_is_refused_by_every_stage(tmp_path):
    table = pd.DataFrame({"subject": list("abc"), "patient": list("aba"), "split": ["train", "val", "test"]})
    table.to_csv(tmp_path / "split.csv", index=False)
    with pytest.raises(StateError, match="scans of one person are in several splits: a in train, c in test"):
        require_split(["a"], read_split(tmp_path / "split.csv"), ("train",), "organ means")


def test_label_maps_of_a_held_out_person_serve_nothing():
    split = pd.DataFrame({"subject": list("ab"), "patient": list("ab"), "split": ["test", "train"], "source": "random"})
    whole = add_label_maps(split, {"c": "a", "d": "b", "e": "e"})
    assert dict(zip(whole["subject"], whole["split"], strict=True)) == {
        **{"a": "test", "b": "train", "d": "labels_only", "e": "labels_only"}
    }
    assert volume_sources({"d": "labels_only", "e": "labels_only"}, "labels_only", 9) == ["d", "e"]
    with pytest.raises(CohortError, match="of other persons than those of val and test"):
        volume_sources({"a": "test", "b": "val"}, "labels_only", 9)


def test_a_split_file_with_a_label_map_of_a_held_out_person_is_refused(tmp_path):
    table = pd.DataFrame({"subject": list("ab"), "patient": "a", "split": ["test", "labels_only"], "source": "no CT"})
    table.to_csv(tmp_path / "split.csv", index=False)
    with pytest.raises(StateError, match="the label map b is of a person of val or test"):
        read_split(tmp_path / "split.csv")


def random_split(train: int) -> pd.DataFrame:
    names = [f"p{i}" for i in range(train)]
    table = pd.DataFrame({"subject": names, "patient": names, "split": "train", "source": "random, seed 1"})
    held_out = pd.DataFrame({"subject": list("vt"), "patient": list("vt"), "split": ["val", "test"], "source": "x"})
    return add_label_maps(pd.concat([table, held_out], ignore_index=True), {"m": "m"})


@given(st.integers(1, 30), st.data(), st.integers(0, 5))
def test_draws_of_annotated_patients_are_nested(train, data, seed):
    table = random_split(train)
    few, more = sorted(data.draw(st.lists(st.integers(1, train), min_size=2, max_size=2)))
    drawn = {n: draw_annotated(table, n, seed) for n in (few, more)}
    keeping = {n: set(one.loc[one["split"] == "train", "subject"]) for n, one in drawn.items()}
    assert [len(keeping[n]) for n in (few, more)] == [few, more]
    assert keeping[few] <= keeping[more]
    # nobody else moves, and an earlier draw does not matter
    others = ["v", "t", "m"]
    assert drawn[few].set_index("subject").loc[others].equals(table.set_index("subject").loc[others])
    assert draw_annotated(drawn[more], few, seed).equals(drawn[few])
    assert draw_annotated(drawn[few], "all", seed).equals(table)


def test_more_annotated_patients_than_there_are():
    with pytest.raises(CohortError, match="4 annotated patients are asked for, but only 3 are neither in val nor in"):
        draw_annotated(random_split(3), 4, 1)
    with pytest.raises(CohortError, match=r"^evidence\.patients: 4 annotated patients are asked for"):
        draw_annotated(random_split(3), 4, 1, "evidence.patients")


def test_a_draw_that_is_all_patients_comes_once():
    require_different(random_split(8), [4, 8])
    require_different(random_split(8), [4, "all"])
    with pytest.raises(CohortError, match=r"evidence\.patients: 8 and all are the same patients"):
        require_different(random_split(8), [4, 8, "all"])


def test_a_patients_id_is_in_no_output(tmp_path, selection, quality):
    for seed, name in enumerate(("one", "other", "third")):
        make_scan(tmp_path / "d" / name, seed=seed)
    (tmp_path / "d" / "meta.csv").write_text("image_id;patient\none;Mustermann X17\nthird;mustermann x17\n")
    listing = Dataset("mine", {"layout": "totalsegmentator", "path": str(tmp_path / "d")}).listing()
    records = []
    for name, subject in listing.subjects.items():
        record, _, _ = prepare_subject(name, subject, LabelSet(ORGANS), 32, selection, quality)
        record.save(tmp_path / f"{name}.json")
        records.append(SubjectRecord.load(tmp_path / f"{name}.json"))
    table = selection_table(records, {"x y": "name holds other characters"})
    assert table.set_index("subject")["patient"].to_dict() == {
        "one": "one",
        "other": "other",
        "third": "one",
        "x y": "",
    }
    outputs = [
        table.to_csv(),
        *(path.read_text() for path in tmp_path.glob("*.json")),
        json.dumps([subject.as_params() for subject in listing.subjects.values()]),
    ]
    # digits alone would now and then stand in a hash
    assert not any(part in text.casefold() for text in outputs for part in ("x17", "mustermann"))
    assert np.unique([len(record.patient) for record in records]).tolist() == [0, 12]
