"""nnU-Net's raw layout: names and ids of versions 1 and 2, channel suffixes, shipped mappings."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from pivm.cohort.preparation import prepare_subject
from pivm.datasets import Dataset, read_ct, read_labels
from pivm.datasets.mappings import MAPPINGS, organ_of
from pivm.errors import ConfigError, DataError
from pivm.labels import ORGANS_34, LabelSet
from pivm.scans.label_maps import Policy

from tests.conftest import ORGANS, make_scan, save_nifti

V1 = {"labels": {"0": "background", **{str(10 + k): o for k, o in enumerate(ORGANS)}}, "modality": {"0": "CT"}}
V2 = {"labels": {"background": 0, **{o: 10 + k for k, o in enumerate(ORGANS)}}, "file_ending": ".nii.gz"}
LABELS = LabelSet(ORGANS)


def make_nnunet(root, facts, cases=("a", "b"), suffix="_0000", part="Tr"):
    for i, case in enumerate(cases):
        scan = make_scan(root / "scans" / case, seed=i)
        merged = np.zeros((40, 32, 30), np.uint8)
        for k, organ in enumerate(ORGANS):
            merged[np.asarray(nib.load(scan / "segmentations" / f"{organ}.nii.gz").dataobj) > 0] = 10 + k
        affine = np.diag([4.0, 4.0, 5.0, 1.0])
        save_nifti(merged, root / f"labels{part}" / f"{case}.nii.gz", affine)
        image = nib.load(scan / "ct.nii.gz")
        save_nifti(np.asarray(image.dataobj), root / f"images{part}" / f"{case}{suffix}.nii.gz", affine)
    (root / "dataset.json").write_text(json.dumps(facts))
    return root


def listing(root, **settings):
    return Dataset("mine", {"layout": "nnunet", "path": str(root), **settings}).listing()


@pytest.mark.parametrize("facts", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("suffix", ["_0000", ""])
def test_it_gives_what_the_masks_give(tmp_path, facts, suffix, selection, quality):
    root = make_nnunet(tmp_path, facts, suffix=suffix)
    subjects = listing(root).subjects
    assert list(subjects) == ["a", "b"]
    folder = Dataset("s", {"layout": "totalsegmentator", "path": str(root / "scans")}).listing().subjects
    for name in subjects:
        ours, theirs = (prepare_subject(name, s[name], LABELS, 32, selection, quality) for s in (subjects, folder))
        assert ours[0] == theirs[0]
        for array in ("hu", "labels", "body"):
            np.testing.assert_array_equal(ours[1][array], theirs[1][array])


def test_a_name_that_ends_in_four_digits_is_no_channel(tmp_path):
    root = make_nnunet(tmp_path, V1, cases=("amos_0001",), suffix="")
    assert list(listing(root).subjects) == ["amos_0001"]


def test_names_and_ids_can_be_mapped(tmp_path):
    facts = {"labels": {"0": "background", "10": "Leber", "11": "Milz"}}
    root = make_nnunet(tmp_path, facts, cases=("a",))
    subject = listing(root, mapping={"Leber": "liver", "11": "spleen"}).subjects["a"]
    assert subject.ids == {"10": "liver", "11": "spleen"}
    labels = read_labels(subject, LABELS, read_ct(subject).grid, Policy())
    assert set(np.unique(labels.array)) == {0, 1, 2}
    assert labels.files == {"liver", "spleen"}
    assert listing(root, mapping={"Leber": "liver", 11: "spleen"}).subjects["a"] == subject
    with pytest.raises(ConfigError, match=r"'Lber' is no label.*did you mean 'Leber'"):
        listing(root, mapping={"Lber": "liver"})
    with pytest.raises(ConfigError, match=r"id 10 of .* is mapped to liver and to spleen"):
        listing(root, mapping={"Leber": "liver", "10": "spleen"})


def test_shipped_mappings_know_their_data_sets():
    assert MAPPINGS["amos"]["9"] == "inferior_vena_cava"
    assert MAPPINGS["btcv"]["10"] == "portal_vein_and_splenic_vein"
    assert MAPPINGS["flare22"] | {"13": "kidney_left", "1": "liver"} == MAPPINGS["flare22"]
    for ids in MAPPINGS.values():
        assert set(ids.values()) <= set(ORGANS_34)
    for version in ("v1", "v2"):
        assert sorted(MAPPINGS[f"totalsegmentator_{version}"].values()) == sorted(ORGANS_34)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("right kidney", "kidney_right"),
        ("arota", "aorta"),
        ("Left Adrenal Gland", "adrenal_gland_left"),
        ("postcava", "inferior_vena_cava"),
        ("vertebrae_L5", "vertebrae_L5"),
        ("prostate/uterus", "prostate_uterus"),
    ],
)
def test_names_of_other_data_sets(theirs, ours):
    assert organ_of(theirs) == ours


def test_a_mapping_of_another_data_set_is_refused(tmp_path):
    facts = {"labels": {"background": 0, "liver": 1, "right kidney": 2, "spleen": 3}}
    root = make_nnunet(tmp_path, facts, cases=("a",))
    assert listing(root, mapping="flare22").subjects
    with pytest.raises(DataError, match=r"id 1 is 'liver', but 'spleen' in the mapping 'amos'"):
        listing(root, mapping="amos")


def test_a_labelled_test_set_is_the_own_split(tmp_path):
    make_nnunet(tmp_path, V1, cases=("a",))
    assert listing(tmp_path).split == {}
    make_nnunet(tmp_path, V1, cases=("b",), part="Ts")
    assert listing(tmp_path).split == {"a": "train", "b": "test"}


def test_cases_that_lack_a_part(tmp_path, selection, quality):
    root = make_nnunet(tmp_path, V1, cases=("a", "b", "c"))
    (root / "labelsTr" / "a.nii.gz").unlink()
    (root / "imagesTr" / "b_0000.nii.gz").unlink()
    (root / "imagesTr" / "c_0001.nii.gz").write_bytes((root / "imagesTr" / "c_0000.nii.gz").read_bytes())
    found = listing(root)
    assert found.refused == {"a": "image without labels in labelsTr"}
    records = {n: prepare_subject(n, s, LABELS, 32, selection, quality)[0] for n, s in found.subjects.items()}
    assert records["b"].status == "labels only"
    assert records["c"].reason == "2 channels, expected one CT"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; it names the labels"),
        ("{", "not readable JSON"),
        ('{"name": "x"}', "no 'labels' in it"),
        ('{"labels": {}}', "no 'labels' in it"),
        ('{"labels": {"liver": "one"}}', "label 'liver': 'one', expected an id up to 65535 and a name"),
        ('{"labels": {"liver": 70000}}', "label 'liver': 70000, expected an id up to 65535 and a name"),
        ('{"labels": {"liver": "²"}}', "label 'liver': '²', expected an id"),
        ('{"labels": {"0": "background"}, "file_ending": ".png"}', "file_ending '.png'"),
        ('{"labels": {"liver": 1}, "channel_names": {"0": "MRI"}}', "channel 0 is 'MRI', expected CT"),
    ],
)
def test_a_faulty_dataset_json_is_explained(tmp_path, content, message):
    root = make_nnunet(tmp_path, V1, cases=("a",))
    (root / "dataset.json").unlink()
    if content is not None:
        (root / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=message):
        listing(root)


def test_labels_that_are_no_whole_numbers_are_refused(tmp_path, selection, quality):
    root = make_nnunet(tmp_path, V1, cases=("a",))
    save_nifti(np.full((40, 32, 30), 10.5, np.float32), root / "labelsTr" / "a.nii.gz", np.diag([4.0, 4.0, 5.0, 1.0]))
    record, _, _ = prepare_subject("a", listing(root).subjects["a"], LABELS, 32, selection, quality)
    assert "expected whole ids" in record.reason
