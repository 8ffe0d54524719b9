"""Reading scans: orientation by affine, and every fault of a file named in its message."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pivm.errors import DataError
from pivm.scans.label_maps import Policy, merge_masks
from pivm.scans.nifti import Image, read_ct, write_volume

from tests.conftest import save_nifti


def _ct(shape=(6, 5, 4), seed=0):
    return np.random.default_rng(seed).integers(-1000, 1500, shape).astype(np.int16)


def test_hu_survive_a_round_trip(tmp_path):
    hu, affine = _ct(), np.diag([1.5, 2.0, 3.0, 1.0])
    write_volume(hu, affine, tmp_path / "ct.nii.gz")
    volume = read_ct(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing == (1.5, 2.0, 3.0)


def test_orientation_follows_the_affine_and_not_the_array(tmp_path):
    hu = _ct()
    flipped = np.diag([-2.0, -2.0, 3.0, 1.0])
    flipped[:3, 3] = [10, 8, 0]
    save_nifti(hu[::-1, ::-1], tmp_path / "lps.nii.gz", flipped)
    volume = read_ct(tmp_path / "lps.nii.gz")
    np.testing.assert_array_equal(volume.hu, hu)
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")


def test_values_below_minus_1024_are_kept(tmp_path):
    hu = _ct()
    hu[0, 0, 0] = -3024
    assert read_ct(save_nifti(hu, tmp_path / "a.nii.gz")).hu.min() == -3024


def test_a_scaled_header_gives_hu(tmp_path):
    stored = np.arange(120, dtype=np.int16).reshape(6, 5, 4) * 10
    image = nib.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(1, -1024)
    nib.save(image, tmp_path / "a.nii.gz")
    assert read_ct(tmp_path / "a.nii.gz").hu.min() == -1024


def truncated(path: Path):
    save_nifti(_ct((40, 40, 40)), path)
    path.write_bytes(path.read_bytes()[:5000])


def text(path: Path):
    path.write_text("this is not an image\n")


def gzipped_text(path: Path):
    path.write_bytes(gzip.compress(b"nor is this" * 100))


def empty_file(path: Path):
    path.write_bytes(b"")


def four_dimensions(path: Path):
    save_nifti(np.zeros((4, 4, 4, 3), np.int16), path)


def two_dimensions(path: Path):
    save_nifti(np.zeros((4, 4), np.int16), path)


def not_a_number(path: Path):
    hu = _ct().astype(np.float32)
    hu[0, 0, :2] = np.nan
    save_nifti(hu, path)


def infinite(path: Path):
    hu = _ct().astype(np.float32)
    hu[0, 0, 0] = np.inf
    save_nifti(hu, path)


def all_zero(path: Path):
    save_nifti(np.zeros((5, 5, 5), np.int16), path)


def unshifted(path: Path):
    save_nifti((_ct() + 1024).astype(np.int16), path)


def beyond_int16(path: Path):
    save_nifti(_ct().astype(np.float32) * 100, path)


def singular_affine(path: Path):
    patch(path, {280: np.zeros(12, "<f4")})


def patch(path: Path, changes: dict[int, np.ndarray]) -> Path:
    """A CT whose header has other bytes at some offsets; nibabel itself would mend them when it writes."""
    image = nib.Nifti1Image(_ct(), np.diag([2.0, 3.0, 4.0, 1.0]))
    content = bytearray(image.to_bytes())
    for offset, value in changes.items():
        content[offset : offset + value.nbytes] = value.tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    return path


FAULTS = {
    truncated: "truncated or corrupt",
    text: "not a readable NIfTI",
    gzipped_text: "not a readable NIfTI",
    empty_file: "not a readable NIfTI",
    four_dimensions: "found 4 dimensions",
    two_dimensions: "found 2 dimensions",
    not_a_number: "2 voxels are NaN or infinite",
    infinite: "1 voxels are NaN or infinite",
    all_zero: "every voxel is 0",
    unshifted: "rescale intercept",
    beyond_int16: "do not fit HU in int16",
    singular_affine: "affine is singular",
}


@pytest.mark.parametrize("make", FAULTS, ids=lambda f: f.__name__)
def test_a_faulty_ct_is_named_with_its_fault(tmp_path, make):
    path = tmp_path / "ct.nii.gz"
    make(path)
    with pytest.raises(DataError, match=FAULTS[make]) as caught:
        read_ct(path)
    assert str(path) in str(caught.value)


def write_header(path: Path, sides, codes: tuple[int, int]) -> Path:
    """sform_code lies behind qform_code."""
    return patch(path, {80: np.array(sides, "<f4"), 252: np.array(codes[::-1], "<i2")})


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (2, 1), (1, 4)])
def test_one_form_is_enough(tmp_path, codes):
    image = nib.Nifti1Image(_ct(), np.diag([2.0, 3.0, 4.0, 1.0]))
    image.set_qform(image.affine, codes[1])
    image.set_sform(image.affine, codes[0])
    nib.save(image, tmp_path / "ct.nii.gz")
    assert read_ct(tmp_path / "ct.nii.gz").spacing == (2, 3, 4)


@pytest.mark.parametrize("read", [read_ct, Image])
def test_a_header_without_orientation_is_refused(tmp_path, read):
    with pytest.raises(DataError, match="sform_code and qform_code are 0, so nobody knows which way"):
        read(write_header(tmp_path / "ct.nii.gz", (2, 3, 4), (0, 0)))


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("side", [0, np.nan, np.inf])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_header_without_the_size_of_a_voxel_is_refused(tmp_path, codes, side, axis):
    sides = [2.0, 3.0, 4.0]
    sides[axis] = side
    found = " x ".join(f"{s:g}" for s in sides)
    with pytest.raises(DataError, match=rf"voxels of {found} mm \(pixdim\), expected lengths above 0"):
        Image(write_header(tmp_path / "ct.nii.gz", sides, codes))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_ct(tmp_path / "ct.nii.gz")


def test_an_absurd_header_is_refused_before_allocation(tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    content = bytearray(image.to_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DataError, match="header claims"):
        Image(tmp_path / "bomb.nii.gz")


@pytest.fixture
def masks(tmp_path):
    ct = read_ct(save_nifti(_ct(), tmp_path / "ct.nii.gz"))
    a, b = np.zeros((2, 6, 5, 4), np.uint8)
    a[:3], b[2:5] = 1, 1
    affine = np.diag([4.0, 4.0, 5.0, 1.0])
    paths = {k: save_nifti(m, tmp_path / f"{k}.nii.gz", affine) for k, m in ((1, a), (2, b))}
    return ct, paths


@pytest.mark.parametrize(("policy", "owner"), [("first", 1), ("last", 2)])
def test_overlap_goes_to_the_stated_label_and_is_counted(masks, policy, owner):
    ct, paths = masks
    merged = merge_masks(paths, ct.grid, Policy(policy))
    assert (merged.array[2] == owner).all()
    assert merged.overlapping == 20
    assert np.bincount(merged.array.ravel())[[owner, 3 - owner]].tolist() == [60, 40]


def test_overlap_can_be_an_error(masks):
    ct, paths = masks
    with pytest.raises(DataError, match="20 voxels already belong"):
        merge_masks(paths, ct.grid, Policy("error"))


def test_a_mask_of_another_shape_is_refused(masks, tmp_path):
    ct, _ = masks
    path = save_nifti(np.ones((6, 5, 3), np.uint8), tmp_path / "m.nii.gz")
    with pytest.raises(DataError, match=r"mask has shape \(6, 5, 3\), the CT \(6, 5, 4\)"):
        merge_masks({1: path}, ct.grid, Policy())


def test_a_mask_of_another_affine_is_refused(masks, tmp_path):
    ct, _ = masks
    affine = np.diag([4.0, 4.0, 5.0, 1.0])
    affine[0, 3] = 7
    path = save_nifti(np.ones((6, 5, 4), np.uint8), tmp_path / "m.nii.gz", affine)
    with pytest.raises(DataError, match="up to 7 mm apart"):
        merge_masks({1: path}, ct.grid, Policy())
