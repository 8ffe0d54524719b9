"""The chain from each layout to Tables 2 and 3, at the smallest size there is."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest

from tests.conftest import ORGANS, make_scan
from tests.unit.test_dicom import rectangle, write_contours, write_series
from tests.unit.test_layouts import pack
from tests.unit.test_nnunet import V2, make_nnunet

SETTINGS = {
    "dataset": "mine",
    "labels": 13,
    "selection": {
        "axial_slices": [5, 600],
        "organs": list(ORGANS),
        "slices_per_scan": 4,
        "min_labels_per_slice": 3,
    },
    "split": {"val": 0, "test": 1},
    "diffusion": {"training": {"epochs": 1}},
    "synthesis": {"slices": 6, "volumes": 1},
    "segmentation": {"steps": 2, "batch": 2},
    "tables": {"generators": ["pivm"]},
}
NAMES = ("a", "b", "c")
IDENTIFIER = "Mustermann4711"


def zipped(folder):
    for i, name in enumerate(NAMES):
        make_scan(folder / "scans" / name, seed=i)
    (make_scan(folder / "scans" / "masks_only", seed=9) / "ct.nii.gz").unlink()
    return {"layout": "totalsegmentator", "path": str(pack(folder / "scans", folder / "scans.zip"))}


def nnunet(folder):
    make_nnunet(folder, V2, cases=(*NAMES, "masks_only"))
    (folder / "imagesTr" / "masks_only_0000.nii.gz").unlink()
    return {"layout": "nnunet", "path": str(folder)}


def dicom(folder):
    """Series with contours; the organs are boxes, so four corners a slice say all."""
    for i, name in enumerate(NAMES):
        scan = make_scan(folder / "scans" / name, seed=i)
        hu = np.asarray(nib.load(scan / "ct.nii.gz").dataobj)[::-1, ::-1]
        frame = write_series(folder / "dicom" / name, hu, PatientID=f"{IDENTIFIER}-{name}", PatientName=IDENTIFIER)[0]
        rois = {}
        for organ in ORGANS:
            mask = np.asarray(nib.load(scan / "segmentations" / f"{organ}.nii.gz").dataobj)[::-1, ::-1]
            columns, rows, slices = (np.flatnonzero(mask.any(axis)) for axis in ((1, 2), (0, 2), (0, 1)))
            rois[organ] = [rectangle(columns[[0, -1]], rows[[0, -1]], k) for k in slices]
        uid = str(pydicom.dcmread(frame).FrameOfReferenceUID)
        write_contours(folder / "dicom" / name / "contours", uid, rois)
    return {"layout": "dicom", "path": str(folder / "dicom")}


@pytest.mark.parametrize("make", [zipped, nnunet, dicom], ids=lambda f: f.__name__)
def test_the_chain_runs_from_a_layout_to_the_tables(workflow, tmp_path, make):
    settings = {**SETTINGS, "datasets": {"mine": make(tmp_path / "data")}}
    labels_only = make is not dicom
    if labels_only:
        settings["synthesis"] = {**settings["synthesis"], "volumes_from": "labels_only"}
    targets = ("tables/table2.csv", "tables/table3.csv", "synthesis/pivm/seed_1/volumes")
    own = workflow.overlay("own", settings)
    done = workflow.run(*(f"results/mine/{t}" for t in targets), configs=("configs/smoke.yaml", own))
    assert done.returncode == 0, done.stdout + done.stderr
    results = workflow.folder / "results" / "mine"
    for table in ("table2", "table3"):
        assert pd.read_csv(results / "tables" / f"{table}.csv")["mean"].notna().all()
    status = pd.read_csv(results / "cohort" / "selection.csv").set_index("subject")["status"]
    assert (status[list(NAMES)] == "selected").all()
    split = pd.read_csv(results / "cohort" / "split.csv")
    without_ct = split.loc[split["split"] == "labels_only", "subject"].tolist()
    assert without_ct == (["masks_only"] if labels_only else [])
    assert sorted(set(split["subject"]) - set(without_ct)) == list(NAMES)
    slices = pd.read_csv(results / "synthesis" / "pivm" / "seed_1" / "slices" / "index.csv")
    if labels_only:  # each of its label maps serves once, and the training patients' for the rest
        maps = pd.read_csv(results / "sources" / "labels_only" / "index.csv")
        alone = slices[slices["source"] == "labels_only"]
        assert sorted(alone["source_row"]) == maps.index[maps["role"] == "target"].tolist()
        assert set(alone["source_subject"]) == {"masks_only"}
    rest = slices.loc[slices["source"] == "train", "source_subject"]
    assert set(rest) <= set(split.loc[split["split"] == "train", "subject"])
    assert len(rest) > 0
    volumes = pd.read_csv(results / "synthesis" / "pivm" / "seed_1" / "volumes" / "meta.csv", sep=";")
    training = split.loc[split["split"] == "train", "subject"].min()
    assert volumes["source"].tolist() == ["masks_only" if labels_only else training]
    ct = nib.load(results / "synthesis" / "pivm" / "seed_1" / "volumes" / volumes["image_id"][0] / "ct.nii.gz")
    assert ct.shape == (40, 32, 30)
    outputs = [p for folder in ("results", ".snakemake") for p in (workflow.folder / folder).rglob("*") if p.is_file()]
    assert len(outputs) > 50
    assert not [p for p in outputs if IDENTIFIER.encode() in p.read_bytes()]
