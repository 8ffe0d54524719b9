"""Real scans: two usable patients, two that selection must turn away."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from pivm.cohort.preparation import prepare_subject
from pivm.datasets import Dataset
from pivm.labels import ORGANS_34, LabelSet
from pivm.scans.nifti import read_ct


@pytest.fixture
def relaxed(selection):
    return replace(selection, axial_slices=(20, 600))


def test_head_and_thorax_are_turned_away_and_abdomens_taken(real_ct, relaxed, quality):
    labels, status = LabelSet(ORGANS_34), {}
    dataset = Dataset("real", {"layout": "totalsegmentator", "path": str(real_ct)})
    for name, subject in dataset.listing().subjects.items():
        record, arrays, _ = prepare_subject(name, subject, labels, 64, relaxed, quality)
        status[name] = (record.status, record.reason)
        if record.status == "selected":
            present = np.unique(arrays["labels"])
            assert len(present) > 8
            liver = arrays["hu"][arrays["labels"] == labels.id_of("liver")]
            assert 30 < np.median(liver) < 130
            assert arrays["body"][arrays["labels"] > 0].all()
    assert {n for n, (s, _) in status.items() if s == "selected"} == {"ts_example_ct", "ts_example_dicom"}
    for name in ("s0002", "s0003"):
        assert "not an abdominal scan" in status[name][1]


def test_hu_are_those_of_the_file(real_ct):
    path = real_ct / "ts_example_ct" / "ct.nii.gz"
    volume = read_ct(path)
    assert volume.hu.min() == -1207
    assert volume.hu.max() == 3382
    reference = nib.as_closest_canonical(nib.load(path))
    np.testing.assert_array_equal(volume.hu, np.asarray(reference.dataobj))


def test_the_whole_chain_runs_on_real_scans(real_ct, workflow):
    anatomies, trunk = real_ct.parent / "labels_only", real_ct.parent / "labels_trunk"
    own = workflow.overlay(
        "own",
        {
            "datasets": {"ct_sample": {"path": [str(real_ct), str(anatomies), str(trunk)]}},
            "synthesis": {"slices": 24, "volumes": 1, "volumes_from": "labels_only"},
        },
    )
    smaller = workflow.overlay(
        "smaller", {"diffusion": {"training": {"epochs": 2}}, "segmentation": {"steps": 4, "batch": 2}}
    )
    configs = ("configs/ct_sample.yaml", "configs/smoke.yaml", own, smaller, workflow.overlay("split", TINY))
    done = workflow.run(configs=configs)
    assert done.returncode == 0, done.stdout + done.stderr
    results = workflow.folder / "results" / "ct_sample"
    table = pd.read_csv(results / "tables" / "table3.csv")
    assert table["patients"].tolist() == [1] * len(table)
    assert table["mean"].notna().all()
    assert table["ci_low"].isna().all()
    selection = pd.read_csv(results / "cohort" / "selection.csv").set_index("subject")
    assert selection["status"].value_counts().to_dict() == {"set aside": 3, "selected": 2, "labels only": 4}
    # label maps of others come first, and all of these are of people without a CT
    slices = pd.read_csv(results / "synthesis" / "pivm" / "seed_1" / "slices" / "index.csv")
    assert set(slices["source"]) == {"labels_only"}
    assert {"s0001", "s0327"} <= set(slices["source_subject"]) <= {"s0001", "s0004", "s0006", "s0000", "s0327"}
    # a volume from labels without CT: their grid and masks, air before and behind the patient, tissue inside
    made, given = results / "synthesis" / "pivm" / "seed_1" / "volumes" / "s0001_pivm", anatomies / "s0001"
    ct, masks = nib.load(made / "ct.nii.gz"), {}
    hu = np.asarray(ct.dataobj)
    for organ in ("liver", "spleen", "hip_left"):
        source, copied = (nib.load(f / "segmentations" / f"{organ}.nii.gz") for f in (given, made))
        np.testing.assert_allclose(ct.affine, nib.as_closest_canonical(source).affine, atol=1e-4)
        masks[organ] = np.asarray(copied.dataobj) > 0
        assert (masks[organ] & ~(np.asarray(nib.as_closest_canonical(source).dataobj) > 0)).sum() == 0
        assert masks[organ].sum() > 0.98 * (np.asarray(source.dataobj) > 0).sum()
    assert np.median(hu[:, [0, -1]]) < -700
    assert -150 < np.median(hu[masks["liver"]]) < 250


TINY = {"split": {"val": 0, "test": 1}, "selection": {"axial_slices": [20, 600]}}
