"""The target `nnunet` where nnU-Net is not there, or has nothing to validate on; the workflow's tests train it."""

from __future__ import annotations

import importlib.util

import nibabel as nib
import numpy as np
import pytest
from pivm.errors import PivmError
from pivm.segmentation import nnunet


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PivmError, match="nnunetv2 is not installed; it is the extra `nnunet`"):
        nnunet.require_installed()


def test_a_data_set_without_folds_is_refused_before_nnunet_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(nnunet, "is_installed", lambda: True)
    raw = tmp_path / "nnUNet_raw/Dataset501_x_generated"
    raw.mkdir(parents=True)
    with pytest.raises(PivmError, match=r"no real patient is left to validate on; set split\.val above 0"):
        nnunet.preprocess(raw, tmp_path / "nnUNet_preprocessed" / raw.name, tmp_path / "log")


def test_a_segmentation_is_read_with_slices_first(tmp_path):
    labels = np.zeros((5, 4, 3), np.uint8)
    labels[1, 2, 0] = 7
    nib.save(nib.Nifti1Image(labels, np.diag([0.7, 0.8, 3.0, 1.0])), tmp_path / "x.nii.gz")
    read, spacing_mm = nnunet.read_segmentation(tmp_path / "x.nii.gz")
    assert read[0, 2, 1] == 7
    assert read.sum() == 7
    np.testing.assert_allclose(spacing_mm, (3.0, 0.8, 0.7), rtol=1e-6)


def test_numbers_of_the_data_sets_follow_each_other():
    assert list(nnunet.dataset_names(7, "mine").values()) == [
        "Dataset007_mine_original",
        "Dataset008_mine_generated",
        "Dataset009_mine_combined",
    ]
