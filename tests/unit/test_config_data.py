"""What the config asks of its data set is held against the names in it before any scan is read."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from pivm.config import validate
from pivm.config.data import check_data, settle
from pivm.datasets import Dataset
from pivm.datasets.dicom import labels
from pivm.datasets.dicom.headers import read_dicom
from pivm.datasets.listing import Listing, Subject
from pivm.errors import ConfigError
from pivm.segmentation.encoders import ENCODERS, check_network, timm_networks

from tests.unit.test_dicom import write_contours

ROOT = Path(__file__).parents[2]
MASKS = ("liver", "spleen", "stomach", "Milz_alt")


def masks(folder: Path, subjects: int = 20, names: tuple[str, ...] = MASKS) -> dict:
    for i in range(subjects):
        place = folder / f"s{i:02d}" / "segmentations"
        place.mkdir(parents=True)
        (place.parent / "ct.nii.gz").touch()
        for name in names:
            (place / f"{name}.nii.gz").touch()
    return {"layout": "totalsegmentator", "path": str(folder)}


def cases(folder: Path, subjects: int = 20, names: tuple[str, ...] = MASKS) -> dict:
    for part, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        (folder / part).mkdir(parents=True)
        for i in range(subjects):
            (folder / part / f"s{i:02d}{ending}").touch()
    labels = {"background": 0, **{name: k for k, name in enumerate(names, start=1)}}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "channel_names": {"0": "CT"}}))
    return {"layout": "nnunet", "path": str(folder)}


def check(entry: dict, **changes) -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["datasets"]["mine"], config["dataset"] = copy.deepcopy(entry), "mine"
    config["split"] = {"source": "auto", "seed": 1, "val": 4, "test": 12, "annotated": "auto"}
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    validate(config)
    dataset = Dataset("mine", config["datasets"]["mine"])
    settle(config, dataset, dataset.listing())
    check_data(config, dataset, dataset.listing())


WRONG = [
    ({"labels": ["aorta"], "selection": {"organs": ["aorta"], "min_organs": 1, "min_labels_per_slice": 1}}, "labels"),
    ({"labels": ["livr", "liver"], "selection": {"organs": ["liver"], "min_organs": 1}}, None),
    ({"selection": {"min_organs": 4}}, "selection.min_organs"),
    ({"selection": {"min_labels_per_slice": 4}}, "selection.min_labels_per_slice"),
    ({"split": {"test": 17}}, "split.test"),
    ({"split": {"source": "dataset"}}, "split.source"),
    ({"synthesis": {"volumes_from": "labels_only"}}, "synthesis.volumes_from"),
    ({"tables": {"extractor": {"name": "auto", "weights": "/nowhere.pt"}}}, "tables.extractor.weights"),
]


@pytest.mark.parametrize("make", [masks, cases])
@pytest.mark.parametrize(("changes", "key"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_what_no_scan_has_is_found_from_names(tmp_path, make, changes, key):
    entry = make(tmp_path / "data")
    check(entry)
    key = key or "selection.min_labels_per_slice"  # 3 by default, of 2 labels
    with pytest.raises(ConfigError, match=re.escape(f"config: {key}: ")):
        check(entry, **changes)


@pytest.mark.parametrize("make", [masks, cases])
def test_a_label_that_is_no_organ_is_looked_for(tmp_path, make):
    entry = make(tmp_path / "data")
    few = {"organs": ["liver"], "min_organs": 1, "min_labels_per_slice": 1}
    with pytest.raises(ConfigError, match=r"labels: unknown 'livr' \(did you mean 'liver'\?\): it is none of the 34"):
        check(entry, labels=["livr", "liver"], selection=few)
    check({**entry, "mapping": {"Milz_alt": "old_spleen"}}, labels=["old_spleen", "liver"], selection=few)


def test_names_that_match_nothing_are_shown(tmp_path):
    entry = masks(tmp_path / "data", names=("Leber", "Milz"))
    with pytest.raises(ConfigError, match=r"labels: no scan of mine has any of them; .*: Leber, Milz; set datasets"):
        check(entry)
    check({**entry, "mapping": {"Leber": "liver", "Milz": "spleen"}}, selection={"min_organs": 2} | FEW)


FEW = {"min_labels_per_slice": 2}


def test_scans_that_differ_are_looked_at_until_all_is_found(tmp_path):
    entry = masks(tmp_path / "data", names=("liver",))
    for i, name in enumerate(("spleen", "stomach", "kidney_left")):
        (tmp_path / f"data/s{i + 5:02d}/segmentations/{name}.nii.gz").touch()
    check(entry)
    with pytest.raises(ConfigError, match="the scans of mine have 4 labels of the run"):
        check(entry, selection={"min_labels_per_slice": 5})


def test_the_depths_that_a_network_of_timm_can_have_are_named(monkeypatch):
    def make(name, depth, widths, classes):
        assert len(widths) == depth
        if depth > 4:
            raise ValueError("too few stages\nand more")
        return torch.nn.Conv2d(1, classes, 1)

    monkeypatch.setattr("pivm.segmentation.network.make_unet", make)
    check_network("tu-some", 4, (64, 32, 16, 16), 96)
    said = (
        r"no U-Net of segmentation\.depth 5 on slices of 96 pixels \(ValueError: too few stages\); set .* to 3 or 4, "
    )
    with pytest.raises(ConfigError, match=said):
        check_network("tu-some", 5, (64, 32, 16, 16, 8), 96)


def contours(folder: Path, names: list[tuple[str, ...]]) -> dict:
    """One subject for each tuple of ROI names: a file that is no DICOM, and an RTSTRUCT below a folder of its own."""
    for i, rois in enumerate(names):
        place = folder / f"s{i:02d}"
        (place / "rt").mkdir(parents=True)
        for k in range(3):
            (place / f"{k}.txt").write_text("a note")
        write_contours(place / "rt" / "labels.dcm", "1.2.3", {name: [] for name in rois})
    return {"layout": "dicom", "path": str(folder)}


TWO = {"selection": {"min_organs": 2, "min_labels_per_slice": 2}}


def test_names_in_dicom_objects_are_known_before_any_job(tmp_path):
    entry = contours(tmp_path / "data", [("Liver", "BODY"), ("spleen",)] + 15 * [("stomach",)])
    check(entry, **TWO)
    entry = contours(tmp_path / "two", 17 * [("Leber", "Milz")])
    with pytest.raises(ConfigError, match=r"labels: no scan of mine has any of them; .*: Leber, Milz; set datasets"):
        check(entry, **TWO)
    check({**entry, "mapping": {"Leber": "liver", "Milz": "spleen"}}, **TWO)


def test_of_dicom_objects_the_first_few_are_read(tmp_path, monkeypatch):
    entry = contours(tmp_path / "data", 17 * [("liver",)])
    read = []
    monkeypatch.setattr(labels, "read_dicom", lambda path, **how: read.append(path) or read_dicom(path, **how))
    check(entry, **TWO)  # what the other subjects have is not known
    assert len(read) == 8
    monkeypatch.setattr(labels, "sop_class", lambda header: "")
    read.clear()
    check(entry, **TWO)  # a file that holds no labels is no proof
    assert len(read) == 17


@pytest.mark.parametrize("damage", [b"", b"no DICOM", None])
def test_a_subject_whose_labels_cannot_be_read_is_no_proof(tmp_path, damage):
    entry = contours(tmp_path / "data", 17 * [("Leber",)])
    for path in (tmp_path / "data").rglob("*.dcm"):
        path.write_bytes(path.read_bytes()[:150] if damage is None else damage)
    check(entry, **TWO)


def test_encoders_are_those_that_are_installed():
    from pivm.learning.torchvision_import import allow_torchvision_import

    allow_torchvision_import()
    import segmentation_models_pytorch as smp
    import timm

    assert sorted(ENCODERS) == sorted(smp.encoders.get_encoder_names())
    assert timm_networks() == set(timm.list_models())


def settled(entry: dict, labels_only: int, **split) -> dict:
    """The config for a data set where so many subjects have no CT."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["datasets"]["mine"], config["dataset"] = entry, "mine"
    config["split"] |= split
    validate(config)
    subjects = {f"s{i}": Subject("phantom", "" if i < labels_only else "ct.nii.gz", "masks") for i in range(60)}
    settle(config, Dataset("mine", entry), Listing(subjects=subjects))
    return config


PHANTOM = {"layout": "phantom", "path": "p", "patients": 60, "seed": 1, "matrix": 64, "slice_spacing": 5.0}
OWN = {"layout": "totalsegmentator", "path": "p"}


@pytest.mark.parametrize(
    ("entry", "labels_only", "split", "annotated", "source"),
    [
        (OWN, 0, {}, "all", 0.0),
        (OWN, 3, {}, "all", "auto"),
        (OWN, 0, {"annotated": 5}, 5, "auto"),
        (PHANTOM, 0, {}, "all", 0.0),
        (PHANTOM | {"annotated": 8}, 0, {}, 8, "auto"),
        (PHANTOM | {"annotated": 8}, 0, {"annotated": "all"}, "all", 0.0),
        (PHANTOM | {"annotated": 8}, 0, {"annotated": 3}, 3, "auto"),
    ],
)
def test_auto_is_what_the_data_set_says(entry, labels_only, split, annotated, source):
    """Own scans all keep their CT; label maps without CT are a source where there are any."""
    config = settled(entry, labels_only, **split)
    assert config["split"]["annotated"] == annotated
    assert config["synthesis"]["sources"]["labels_only"] == source


def test_what_auto_leaves_needs_a_source():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["synthesis"]["sources"] |= {"train": 0.0}
    with pytest.raises(ConfigError, match="for the slices that labels_only: auto leaves, expected at least one share"):
        validate(config)
