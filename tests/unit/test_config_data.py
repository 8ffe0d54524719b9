"""What the config asks of its data set is held against the names in it before any scan is read."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from pivm.config import validate
from pivm.config.data import check_data
from pivm.datasets import Dataset
from pivm.errors import ConfigError
from pivm.segmentation.encoders import ENCODERS, timm_networks

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
    config["split"] = {"source": "auto", "seed": 1, "val": 4, "test": 12}
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    validate(config)
    dataset = Dataset("mine", config["datasets"]["mine"])
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


def test_encoders_are_those_that_are_installed():
    from pivm.learning.torchvision_import import allow_torchvision_import

    allow_torchvision_import()
    import segmentation_models_pytorch as smp
    import timm

    assert sorted(ENCODERS) == sorted(smp.encoders.get_encoder_names())
    assert timm_networks() == set(timm.list_models())
