"""A layout is one file: found, checked, listed and read by its entry alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pivm
import pytest
import yaml
from pivm.config import validate
from pivm.datasets import dataset_schema, layouts
from pivm.datasets.listing import Listing
from pivm.errors import ConfigError
from pivm.settings import schema_of

ROOT = Path(__file__).parents[2]
PLANE = '''
"""One scan without a file: a plane of air above water."""

from dataclasses import dataclass

import numpy as np

from pivm.datasets.layout import Layout
from pivm.datasets.listing import Listing, Subject
from pivm.scans.label_maps import LabelMap
from pivm.scans.nifti import Volume
from pivm.settings import setting


@dataclass(frozen=True)
class PlaneSettings:
    path: str | tuple[str, ...] = setting("any place", pattern=".", min_items=1)
    height: int = setting("slices", 5, minimum=2)


def list_subjects(settings):
    listing = Listing()
    listing.add("flat", "here", Subject("plane", ct=str(settings.height)))
    return listing


def read_ct(subject):
    hu = np.zeros((4, 4, int(subject.ct)), np.int16)
    hu[..., 2:] = -1000
    return Volume(hu, np.eye(4))


def read_labels(subject, label_set, grid, policy):
    return LabelMap(np.ones(grid.shape, np.uint8), grid, files={"liver"})


LAYOUT = Layout("plane", PlaneSettings, list_subjects, read_labels, read_ct)
'''
USE = """
import json
import sys
from pivm.datasets import Dataset, check_dataset, dataset_schema, read_ct, read_labels
from pivm.errors import ConfigError
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy

heavy = {"highdicom", "SimpleITK", "torch", "pivm.datasets.dicom.series"} & set(sys.modules)
dataset = Dataset("mine", {"layout": "plane", "path": "x", "height": 7})
(subject,) = dataset.listing().subjects.values()
volume = read_ct(subject)
labels = read_labels(subject, LabelSet(("liver",)), volume.grid, Policy())
schema = dataset_schema()
try:
    check_dataset("mine", {"layout": "nnunet", "path": "x", "height": 7}, ())
except ConfigError as error:
    said = str(error)
print(json.dumps([volume.hu.shape, int(labels.array.sum()), schema["properties"]["layout"]["enum"],
                  "height" in schema["properties"], said, sorted(heavy)]))
"""


def test_a_layout_in_one_new_file_is_listed_read_and_in_the_schema(tmp_path):
    shutil.copytree(Path(pivm.__file__).parent, tmp_path / "pivm", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pivm/datasets/plane.py").write_text(PLANE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shape, voxels, names, known, said, heavy = yaml.safe_load(done.stdout)
    assert (shape, voxels) == ([4, 4, 7], 4 * 4 * 7)
    assert "plane" in names
    assert known
    assert said.endswith("height: is read by layout plane, but the layout is nnunet")
    assert heavy == [], "listing layouts imports what only reading needs"


@pytest.mark.parametrize("name", layouts())
def test_every_layout_states_its_settings(name):
    layout = layouts()[name]
    assert layout.name == name
    schema = schema_of(layout.settings)
    assert "path" in schema["properties"]
    assert all(part["description"] for part in schema["properties"].values())
    assert not layout.rules or (ROOT / "rules" / layout.rules).is_file()


def test_the_entries_of_the_shipped_config_fit(tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for name in config["datasets"]:
        validate({**config, "dataset": name})
    wrong = {**config["datasets"]["phantom"], "patient": 4}
    with pytest.raises(ConfigError, match=r"phantom\.patient: unknown key \(did you mean 'patients'\?\)"):
        validate({**config, "datasets": {"phantom": wrong}})


def test_a_phantom_without_ct_has_the_labels_of_the_one_with_it(tmp_path):
    from pivm.datasets.phantom.scan import write_labels, write_patient

    size = {"seed": 1, "index": 2, "matrix": 40, "slice_spacing": 20.0}
    write_patient(tmp_path / "with", **size)
    write_labels(tmp_path / "without", **size)
    assert not (tmp_path / "without" / "ct.nii.gz").exists()
    masks = sorted((tmp_path / "with" / "segmentations").iterdir())
    assert len(masks) == 34
    for mask in masks:
        other = nib.load(tmp_path / "without" / "segmentations" / mask.name)
        assert np.array_equal(other.dataobj, nib.load(mask).dataobj)
        assert np.array_equal(other.affine, nib.load(mask).affine)


def test_the_phantom_is_known_before_it_is_made(tmp_path):
    entry = {"layout": "phantom", "path": str(tmp_path), "patients": 2, "seed": 1, "matrix": 48, "slice_spacing": 9.0}
    from pivm.datasets import Dataset

    dataset = Dataset("p", entry)
    listing = dataset.listing()
    assert isinstance(listing, Listing)
    assert listing.files == [f"{tmp_path}/meta.csv"]
    assert len(dataset.layout.watched(listing.subjects["phantom_0001"])) == 35
    more = Dataset("p", {**entry, "labels_only": 3}).listing().subjects
    assert [name for name, subject in more.items() if not subject.ct] == [f"phantom_000{i}" for i in (2, 3, 4)]
    assert len(dataset.layout.watched(more["phantom_0004"])) == 34
    assert dataset_schema()["properties"]["layout"]["enum"] == list(layouts())
