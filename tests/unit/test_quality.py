"""Faults of real data: each sets its scan aside with the reason, or is handled and counted; others are not touched."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pivm.cohort.preparation import prepare_subject
from pivm.cohort.selection import SelectionSettings
from pivm.datasets import Dataset
from pivm.labels import LabelSet
from pivm.scans.inplane import AIR_HU
from pivm.scans.quality import QualitySettings

from tests.conftest import ORGANS, QUALITY, SELECTION, make_scan, save_nifti

LABELS = LabelSet(ORGANS)
AFFINE = np.diag([4.0, 4.0, 5.0, 1.0])


def ct(folder: Path) -> np.ndarray:
    return np.asarray(nib.load(folder / "ct.nii.gz").dataobj)


def change_ct(folder: Path, change, affine=AFFINE) -> None:
    save_nifti(change(ct(folder)), folder / "ct.nii.gz", affine)


def change_header(folder: Path, offset: int, value: np.ndarray) -> None:
    content = bytearray(gzip.decompress((folder / "ct.nii.gz").read_bytes()))
    content[offset : offset + value.nbytes] = value.tobytes()
    (folder / "ct.nii.gz").write_bytes(gzip.compress(bytes(content)))


def change_grid(folder: Path, affine: np.ndarray) -> None:
    for path in [folder / "ct.nii.gz", *(folder / "segmentations").iterdir()]:
        save_nifti(np.asarray(nib.load(path).dataobj), path, affine)


def mask(folder: Path, organ: str) -> Path:
    return folder / "segmentations" / f"{organ}.nii.gz"


def spoil(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def truncated_gzip(f):
    spoil(f / "ct.nii.gz", (f / "ct.nii.gz").read_bytes()[:9000])


def broken_gzip(f):
    content = bytearray((f / "ct.nii.gz").read_bytes())
    content[6000:6040] = bytes(40)
    spoil(f / "ct.nii.gz", bytes(content))


def wrong_magic(f):
    change_header(f, 344, np.frombuffer(b"abc\0", np.uint8))


def zero_bytes(f):
    spoil(f / "ct.nii.gz", b"")


def text_file(f):
    spoil(f / "ct.nii.gz", b"hello\n")


def bomb(f):
    change_header(f, 42, np.full(3, 10_000, "<i2"))


def negative_dimension(f):
    change_header(f, 42, np.array([-40], "<i2"))


def more_voxels_than_bytes(f):
    change_header(f, 46, np.array([300], "<i2"))


def unknown_datatype(f):
    change_header(f, 70, np.array([9999], "<i2"))


def swapped_bytes(f):
    content = bytearray(gzip.decompress((f / "ct.nii.gz").read_bytes()))
    content[352:] = np.frombuffer(bytes(content[352:]), "<i2").byteswap().tobytes()
    spoil(f / "ct.nii.gz", gzip.compress(bytes(content)))


def not_a_number(f):
    change_ct(f, lambda hu: np.where(hu > 100, np.nan, hu).astype(np.float32))


def infinite(f):
    change_ct(f, lambda hu: np.where(hu > 100, np.inf, hu).astype(np.float32))


def colours(f):
    rgb = np.zeros((40, 32, 30), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    save_nifti(rgb, f / "ct.nii.gz", AFFINE)


def complex_numbers(f):
    change_ct(f, lambda hu: hu.astype(np.complex64))


def forms_disagree(f):
    image = nib.load(f / "ct.nii.gz")
    data, other = np.asarray(image.dataobj), AFFINE.copy()
    other[0, 3] = 60
    image = nib.Nifti1Image(data, AFFINE)
    image.set_qform(other, 1)
    image.set_sform(AFFINE, 1)
    nib.save(image, f / "ct.nii.gz")


def intercept_not_a_number(f):
    change_header(f, 112, np.array([1.0, np.nan], "<f4"))


def two_cts(f):
    shutil.copy(f / "ct.nii.gz", f / "ct.nii")


def looping_link(f):
    (f / "ct.nii.gz").unlink()
    os.symlink(f / "ct.nii.gz", f / "ct.nii.gz")


def dangling_link(f):
    (f / "ct.nii.gz").unlink()
    os.symlink(f / "nowhere", f / "ct.nii.gz")


def ct_is_a_folder(f):
    (f / "ct.nii.gz").unlink()
    (f / "ct.nii.gz").mkdir()


def unshifted(f):
    change_ct(f, lambda hu: (hu + 1024).astype(np.int16))


def unshifted_but_padded(f):
    def change(hu):
        shifted = (hu + 1024).astype(np.int16)
        shifted[:2] = -2000
        return shifted

    change_ct(f, change)


def ten_fold(f):
    change_ct(f, lambda hu: (hu * 10).astype(np.int16))


def zero_to_one(f):
    change_ct(f, lambda hu: ((hu + 1100) / 3000).astype(np.float32))


def minus_one_to_one(f):
    change_ct(f, lambda hu: (hu / 1000).astype(np.float32))


def eight_bits(f):
    change_ct(f, lambda hu: np.clip((hu + 200) / 2, 0, 255).astype(np.uint8))


def all_alike(f):
    change_ct(f, np.zeros_like)


def beyond_int16(f):
    change_ct(f, lambda hu: hu.astype(np.float32) * 1000)


def four_dimensions(f):
    change_ct(f, lambda hu: np.stack([hu, hu], -1))


def two_dimensions(f):
    change_ct(f, lambda hu: hu[:, :, 0])


def singular_affine(f):
    change_header(f, 280, np.zeros(12, "<f4"))


def orientation_unknown(f):
    change_header(f, 252, np.zeros(2, "<i2"))


def voxels_without_size(f):
    change_header(f, 84, np.zeros(1, "<f4"))


def affine_not_a_number(f):
    change_header(f, 280, np.array([np.nan], "<f4"))


def metres(f):
    change_grid(f, np.diag([0.004, 0.004, 0.005, 1]))


def thick_slices(f):
    change_grid(f, np.diag([4.0, 4.0, 20.0, 1.0]))


def oblique(f):
    c, s = np.cos(np.radians(40)), np.sin(np.radians(40))
    change_grid(f, np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ AFFINE)


def sheared(f):
    affine = AFFINE.copy()
    affine[1, 2] = 0.8
    change_grid(f, affine)


def sagittal_slices(f):
    change_grid(f, np.diag([10.0, 2.0, 2.0, 1.0]))


def rotated_padding_of_zeros(f):
    def change(hu):
        x, y = np.meshgrid(np.arange(40) - 19.5, np.arange(32) - 15.5, indexing="ij")
        hu = hu.copy()
        hu[np.abs(x) / 40 + np.abs(y) / 32 > 0.8] = 0
        return hu

    change_ct(f, change)


def few_slices(f):
    shutil.rmtree(f)
    make_scan(f, slices=8)


def no_masks(f):
    shutil.rmtree(f / "segmentations")


def mask_of_another_shape(f):
    save_nifti(np.ones((40, 32, 29), np.uint8), mask(f, "liver"), AFFINE)


def mask_of_another_place(f):
    affine = AFFINE.copy()
    affine[2, 3] = 30
    save_nifti(np.asarray(nib.load(mask(f, "liver")).dataobj), mask(f, "liver"), affine)


def mask_truncated(f):
    noise = np.random.default_rng(0).integers(0, 2, (40, 32, 30)).astype(np.uint8)
    save_nifti(noise, mask(f, "liver"), AFFINE)
    spoil(mask(f, "liver"), mask(f, "liver").read_bytes()[:2000])


def mask_is_text(f):
    spoil(mask(f, "liver"), b"liver")


def masks_of_another_scan(f):
    for path in (f / "segmentations").iterdir():
        save_nifti(np.roll(np.asarray(nib.load(path).dataobj), 16, 1), path, AFFINE)


def masks_empty(f):
    for path in (f / "segmentations").iterdir():
        save_nifti(np.zeros((40, 32, 30), np.uint8), path, AFFINE)


def masks_tiny(f):
    for path in (f / "segmentations").iterdir():
        thin = np.zeros((40, 32, 30), np.uint8)
        thin[20, 16, :5] = 1
        save_nifti(thin, path, AFFINE)


def names_swapped(f):
    left, right = mask(f, "kidney_left"), mask(f, "kidney_right")
    left.rename(f / "x")
    right.rename(left)
    (f / "x").rename(right)


def image_mirrored(f):
    for path in [f / "ct.nii.gz", *(f / "segmentations").iterdir()]:
        save_nifti(np.asarray(nib.load(path).dataobj)[::-1], path, AFFINE)


FAULTS = {
    truncated_gzip: "truncated or corrupt",
    broken_gzip: "truncated or corrupt",
    wrong_magic: "not a readable NIfTI",
    zero_bytes: "not a readable NIfTI",
    text_file: "not a readable NIfTI",
    bomb: r"header claims \(10000, 10000, 10000\) voxels",
    negative_dimension: "header claims|not a readable NIfTI|truncated",
    more_voxels_than_bytes: "truncated or corrupt",
    unknown_datatype: "not a readable NIfTI",
    swapped_bytes: "HU|int16",
    not_a_number: "NaN or infinite",
    infinite: "NaN or infinite",
    colours: "expected numbers",
    complex_numbers: "expected numbers",
    forms_disagree: "sform and qform disagree by up to 60 mm",
    intercept_not_a_number: "not a readable NIfTI",
    two_cts: "two CTs in the folder: ct.nii.gz and ct.nii",
    looping_link: "a link that leads nowhere",
    dangling_link: "a link that leads nowhere",
    ct_is_a_folder: "is no file",
    unshifted: "rescale intercept",
    unshifted_but_padded: "unshifted or of a foreign scale",
    ten_fold: "unshifted or of a foreign scale",
    zero_to_one: "not in HU",
    minus_one_to_one: "not in HU",
    eight_bits: "not in HU",
    all_alike: "every voxel is 0",
    beyond_int16: "do not fit HU in int16",
    four_dimensions: "found 4 dimensions",
    two_dimensions: "found 2 dimensions",
    singular_affine: "affine is singular",
    orientation_unknown: "sform_code and qform_code are 0",
    voxels_without_size: "voxels of 4 x 0 x 5 mm",
    affine_not_a_number: "not finite",
    metres: "quality.spacing_mm wants",
    thick_slices: "quality.spacing_mm wants",
    oblique: "oblique: an axis is 40 degrees off",
    sheared: "gantry tilt or shear",
    sagittal_slices: "coronal or sagittal",
    rotated_padding_of_zeros: "constant 0 HU: padding that is not air",
    few_slices: "8 axial slices, selection.axial_slices wants 12 to 600",
    no_masks: "no mask of any organ",
    mask_of_another_shape: "mask has shape",
    mask_of_another_place: "up to 30 mm apart",
    mask_truncated: "truncated or corrupt",
    mask_is_text: "not a readable NIfTI",
    masks_of_another_scan: "belong to another scan",
    masks_empty: "not an abdominal scan: 0 of the organs",
    masks_tiny: "not an abdominal scan: 0 of the organs",
    names_swapped: "left and right swapped: in 1 of 1 pairs",
    image_mirrored: "left and right swapped: in 1 of 1 pairs",
}


def prepare_all(root: Path, selection: SelectionSettings, quality: QualitySettings) -> dict:
    listing = Dataset("mine", {"layout": "totalsegmentator", "path": str(root)}).listing()
    wanted = replace(selection, axial_slices=(12, 600))
    return {n: prepare_subject(n, s, LABELS, 32, wanted, quality) for n, s in listing.subjects.items()}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two good scans; and the same two beside every faulty one."""
    good, mixed = tmp_path_factory.mktemp("good"), tmp_path_factory.mktemp("mixed")
    for i in range(2):
        make_scan(good / f"good{i}", seed=i)
    shutil.copytree(good, mixed, dirs_exist_ok=True)
    for fault in FAULTS:
        shutil.copytree(good / "good0", mixed / fault.__name__)
        fault(mixed / fault.__name__)
    return good, mixed


@pytest.fixture(scope="module")
def prepared(cohort):
    return [prepare_all(root, SELECTION, QUALITY) for root in cohort]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_a_fault_sets_its_scan_aside_with_the_reason(prepared, fault):
    record, arrays, rows = prepared[1][fault.__name__]
    assert record.status == "set aside"
    assert len(rows) == len(arrays["hu"]) == 0
    assert re.search(FAULTS[fault], record.reason), record.reason


def test_the_others_are_complete_and_identical(prepared):
    alone, mixed = prepared
    for name, (record, arrays, rows) in alone.items():
        assert record.status == "selected"
        assert mixed[name][0] == record
        assert mixed[name][2].equals(rows)
        for array in arrays:
            np.testing.assert_array_equal(mixed[name][1][array], arrays[array])


class TestHandled:
    """What looks wrong and is legal, or is repaired and counted."""

    def outcome(self, folder, selection, quality, **changes):
        return prepare_all(folder.parent, selection, replace(quality, **changes))[folder.name]

    @pytest.fixture
    def good(self, scan, selection, quality):
        return self.outcome(scan, selection, quality)

    def same(self, one, other):
        assert one[0].status == "selected", one[0].reason
        for array in ("hu", "labels", "body"):
            np.testing.assert_array_equal(one[1][array], other[1][array])

    def test_big_endian(self, scan, good, selection, quality):
        image = nib.load(scan / "ct.nii.gz")
        nib.save(
            nib.Nifti1Image(np.asarray(image.dataobj), AFFINE, image.header.as_byteswapped(">")), scan / "ct.nii.gz"
        )
        self.same(self.outcome(scan, selection, quality), good)

    @pytest.mark.parametrize("slope", [0.0, np.nan])
    def test_a_slope_of_zero_or_nan_means_unscaled(self, scan, good, selection, quality, slope):
        change_header(scan, 112, np.array([slope, 0.0], "<f4"))
        self.same(self.outcome(scan, selection, quality), good)

    def test_float_hu_are_rounded(self, scan, good, selection, quality):
        change_ct(scan, lambda hu: hu + np.float32(0.3))
        self.same(self.outcome(scan, selection, quality), good)

    def test_other_orders_of_the_axes(self, scan, good, selection, quality):
        for path in [scan / "ct.nii.gz", *(scan / "segmentations").iterdir()]:
            image = nib.load(path)
            target = nib.orientations.axcodes2ornt("PIL" if "ct" in path.name else "ASR")
            nib.save(image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(AFFINE), target)), path)
        self.same(self.outcome(scan, selection, quality), good)

    def test_uncompressed_and_nifti_2(self, scan, good, selection, quality):
        image = nib.load(scan / "ct.nii.gz")
        nib.save(nib.Nifti2Image(np.asarray(image.dataobj), AFFINE), scan / "ct.nii")
        (scan / "ct.nii.gz").unlink()
        self.same(self.outcome(scan, selection, quality), good)

    @pytest.mark.parametrize("value", [-3024, -2000, -9758])
    def test_padding_becomes_air_and_is_counted(self, scan, selection, quality, value):
        change_ct(scan, lambda hu: np.where(hu < -900, AIR_HU, hu).astype(np.int16))
        air = self.outcome(scan, selection, quality)
        x, y = np.meshgrid(np.arange(40) - 19.5, np.arange(32) - 15.5, indexing="ij")
        corners = np.repeat((np.abs(x) / 40 + np.abs(y) / 32 > 0.9)[..., None], 30, 2)
        change_ct(scan, lambda hu: np.where(corners & (hu < -900), value, hu).astype(np.int16))
        padded = self.outcome(scan, selection, quality)
        self.same(padded, air)
        assert padded[0].padding_voxels == int((ct(scan) == value).sum()) > 0
        kept = self.outcome(scan, selection, quality, padding="keep")
        assert kept[1]["hu"].min() < AIR_HU
        assert "voxels below -1500 HU" in self.outcome(scan, selection, quality, padding="aside")[0].reason

    def test_high_values_are_kept(self, scan, selection, quality):
        change_ct(scan, lambda hu: np.where(np.arange(40)[:, None, None] == 20, 4349, hu).astype(np.int16))
        assert self.outcome(scan, selection, quality)[0].status == "selected"

    def test_masks_of_another_grid_can_be_resampled(self, scan, good, selection, quality):
        image = nib.load(mask(scan, "liver"))
        fine = np.asarray(image.dataobj).repeat(2, 0).repeat(2, 1)
        affine = np.diag([2.0, 2.0, 5.0, 1.0])
        affine[:2, 3] = -1
        save_nifti(fine, mask(scan, "liver"), affine)
        done = self.outcome(scan, selection, quality, other_grid="resample")
        self.same(done, good)
        assert done[0].resampled == 1

    def test_overlaps_are_counted(self, scan, selection, quality):
        shutil.copy(mask(scan, "spleen"), mask(scan, "pancreas"))
        record = self.outcome(scan, selection, quality)[0]
        assert record.overlapping_voxels == 4 * 14 * 24
        last = prepare_all(scan.parent, replace(selection, overlap="last"), quality)[scan.name][0]
        assert last.voxels["pancreas"] == record.voxels["spleen"]
        refused = prepare_all(scan.parent, replace(selection, overlap="error"), quality)[scan.name][0]
        assert "already belong to another organ" in refused.reason

    def test_tiny_masks_are_counted(self, scan, selection, quality):
        tiny = np.zeros((40, 32, 30), np.uint8)
        tiny[20, 25, 10] = 1
        save_nifti(tiny, mask(scan, "pancreas"), AFFINE)
        change_grid(scan, np.diag([3.0, 3.0, 5.0, 1.0]))
        assert self.outcome(scan, selection, quality)[0].tiny_masks == 1

    def test_swapped_sides_can_be_kept(self, scan, selection, quality):
        names_swapped(scan)
        record = self.outcome(scan, selection, quality, left_right="keep")[0]
        assert (record.status, record.swapped_pairs) == ("selected", 1)
