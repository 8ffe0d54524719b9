"""Fixtures shared by all tests: small hand-made scans and the real CT of PIVM_REAL_CT."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import settings
from matplotlib.figure import Figure
from pivm.cohort.selection import SelectionSettings
from pivm.report.drawing import plt
from pivm.scans.quality import QualitySettings

# machines that run the tests may be slow and noisy
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ORGANS = ("liver", "spleen", "kidney_right", "kidney_left", "stomach", "pancreas")


def save_nifti(array: np.ndarray, path: Path, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([4.0, 4.0, 5.0, 1.0]) if affine is None else affine), path)
    return path


def make_scan(folder: Path, slices: int = 30, shape: tuple[int, int] = (40, 32), seed: int = 0) -> Path:
    """A block of tissue in air with six box-shaped organs, in TotalSegmentator's layout."""
    rng = np.random.default_rng(seed)
    hu = np.full((*shape, slices), -1000, np.int16)
    hu[6:-6, 4:-4] = -100
    for k, organ in enumerate(ORGANS):
        mask = np.zeros(hu.shape, np.uint8)
        x = 29 - 4 * k  # from the patient's right to the left
        mask[x : x + 4, 8:22, 3:-3] = 1
        hu[mask > 0] = 20 + 15 * k
        save_nifti(mask, folder / "segmentations" / f"{organ}.nii.gz")
    tissue = hu > -500
    hu[tissue] += rng.normal(0, 8, int(tissue.sum())).astype(np.int16)
    save_nifti(hu, folder / "ct.nii.gz")
    return folder


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return make_scan(tmp_path / "data" / "p1")


SELECTION = SelectionSettings(axial_slices=(5, 600), organs=ORGANS, slices_per_scan=6)
QUALITY = QualitySettings()


@pytest.fixture
def selection() -> SelectionSettings:
    return SELECTION


@pytest.fixture
def quality() -> QualitySettings:
    return QUALITY


@pytest.fixture
def kept_figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that a test's code closed, still open to be looked at."""
    figures: list[Figure] = []
    with monkeypatch.context() as patch:
        patch.setattr(plt, "close", figures.append)
        yield figures
    for figure in figures:
        plt.close(figure)


@pytest.fixture(scope="session")
def real_ct() -> Path:
    folder = os.environ.get("PIVM_REAL_CT")
    if not folder:
        pytest.skip("PIVM_REAL_CT does not name a folder with real CT")
    path = Path(folder) / "ct_sample"
    if not path.is_dir():
        pytest.skip(f"{path} does not exist")
    return path
