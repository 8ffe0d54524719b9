"""What scanners and contouring programs write beside the textbook: bits, rounding, missing preambles, holes, gaps."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pivm.datasets import read_ct, read_labels
from pivm.datasets.dicom.contours import Contour, fill, fill_gaps
from pivm.errors import DataError
from pivm.scans.inplane import AIR_HU
from pivm.scans.label_maps import Policy

from tests.unit.test_dicom import (
    LABELS,
    ORIGIN,
    SLICE_MM,
    expected,
    labelled,  # noqa: F401 - a fixture
    rectangle,
    subject_of,
    write_contours,
    write_series,
)

HU = np.random.default_rng(0).integers(-1000, 1500, (6, 5, 8)).astype(np.int16)


def change(paths: list[Path], edit) -> None:
    for path in paths:
        header = pydicom.dcmread(path)
        edit(header)
        header.save_as(path)


def reason(root: Path) -> str:
    with pytest.raises(DataError) as error:
        read_ct(subject_of(root))
    return str(error.value)


@settings(max_examples=12)
@given(st.integers(0, 2**16 - 1), st.booleans())
def test_bits_above_those_stored_mean_nothing(tmp_path_factory, rubbish, signed):
    root = tmp_path_factory.mktemp("bits")
    paths = write_series(root / "p", HU, intercept=0.0 if signed else -1024.0, BitsStored=12, HighBit=11)

    def edit(header):
        header.PixelRepresentation = int(signed)
        pixels = np.frombuffer(header.PixelData, "<u2")
        header.PixelData = ((pixels & 0x0FFF) | (rubbish & 0xF000)).astype("<u2").tobytes()

    change(paths, edit)
    np.testing.assert_array_equal(read_ct(subject_of(root)).hu, HU[::-1, ::-1])


@pytest.mark.parametrize(("value", "limit"), [(2000, None), (2000, 2100)])
def test_what_the_header_calls_padding_is_no_tissue(tmp_path, value, limit):
    hu = HU.copy()
    hu[:2, :2] = value - 1024 if limit is None else value - 1024 + 50
    paths = write_series(tmp_path / "p", hu, PixelPaddingValue=value, PixelRepresentation=0)
    if limit:
        change(paths, lambda header: header.add_new(0x00280121, "US", limit))
    volume = read_ct(subject_of(tmp_path))
    assert (volume.hu[-2:, -2:] < AIR_HU).all()
    assert volume.padding >= 4 * hu.shape[2]


@settings(max_examples=12)
@given(st.integers(1, 3), st.integers(0, 9))
def test_rounded_positions_are_even_and_a_missing_slice_is_not(tmp_path_factory, digits, seed):
    root, step = tmp_path_factory.mktemp("steps"), 0.7 + 0.31 * seed
    write_series(root / "p", HU, ImagePositionPatient=lambda k: [0, 0, round(step * k, digits)])
    assert read_ct(subject_of(root)).spacing[2] == pytest.approx(step, abs=0.03)
    write_series(root / "p", HU, ImagePositionPatient=lambda k: [0, 0, round(step * (k + (k > 3)), digits)])
    assert re.search(r"missing or uneven", reason(root))


def test_a_step_that_wanders_is_held_against_the_stack_and_not_against_its_neighbour(tmp_path):
    wander = [0.0, 0.04, 0.08, 0.12, 0.16, 0.12, 0.06, 0.0]  # no step is off by more than 6 % of 1 mm, the stack is
    write_series(tmp_path / "p", HU, ImagePositionPatient=lambda k: [0, 0, k + wander[k]])
    assert "missing or uneven" in reason(tmp_path)


def test_files_without_a_preamble_are_read(tmp_path):
    for path in write_series(tmp_path / "p", HU):
        header = pydicom.dcmread(path)
        bare = pydicom.Dataset()
        bare.update(header)
        bare.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_ct(subject_of(tmp_path)).hu, HU[::-1, ::-1])


def test_files_that_all_say_to_be_one_slice_are_named_as_such(tmp_path):
    write_series(tmp_path / "p", HU, SOPInstanceUID="1.2.3", ImagePositionPatient=[0, 0, 7])
    said = reason(tmp_path)
    assert "8 files that all say to be the same slice (SOPInstanceUID 1.2.3, ImagePositionPatient 0, 0, 7)" in said
    # one UID by mistake, but positions of their own
    write_series(tmp_path / "p", HU, SOPInstanceUID="1.2.3")
    np.testing.assert_array_equal(read_ct(subject_of(tmp_path)).hu, HU[::-1, ::-1])


TAGS = ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope", "Rows", "BitsStored")


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("value", ["", None])
def test_a_tag_that_is_there_but_empty_is_named(tmp_path, tag, value):
    paths = write_series(tmp_path / "p", HU)
    change(paths[2:3], lambda header: setattr(header, tag, value))
    assert re.search(rf"{tag} (is empty|cannot be read)|pixels cannot be decoded", reason(tmp_path))


def box(low: tuple[float, float], high: tuple[float, float], exclusive: bool = False) -> Contour:
    (c0, r0), (c1, r1) = low, high
    points = np.array([(c0, r0), (c1, r0), (c1, r1), (c0, r1)], float) - 0.5
    return Contour(points, float((c1 - c0) * (r1 - r0)), exclusive)


OUTER, HOLE, ISLAND = box((1, 1), (11, 11)), box((3, 3), (9, 9)), box((5, 5), (7, 7))


@pytest.mark.parametrize(
    ("contours", "pixels"),
    [
        ([OUTER], 100),
        ([OUTER, OUTER], 100),  # saved twice
        ([OUTER, HOLE], 64),
        ([HOLE, OUTER, HOLE], 64),
        ([OUTER, HOLE, ISLAND], 68),
        ([OUTER, box((8, 1), (15, 11))], 140),  # overlap
        ([box((1, 1), (4, 4)), box((6, 6), (9, 9))], 18),
        ([OUTER, box((3, 3), (9, 9), True)], 64),
    ],
)
def test_a_hole_is_a_contour_inside_another(contours, pixels):
    for order in (contours, contours[::-1]):
        assert np.count_nonzero(fill(order, (16, 16))) == pixels


@given(st.integers(1, 4), st.integers(2, 4))
def test_slices_that_nobody_drew_are_filled_between_two_that_agree(gap, drawn):
    mask = np.zeros((12, 12, 30), bool)
    slices = [3 + i * (gap + 1) for i in range(drawn)]
    for i, k in enumerate(slices):
        mask[2 : 8 + i, 2:9, k] = True
    assert fill_gaps(mask) == (gap * (drawn - 1), 0)
    areas = mask.sum((0, 1))[slices[0] : slices[-1] + 1]
    assert (np.diff(areas) >= 0).all()
    assert not mask[..., : slices[0]].any()
    assert not mask[..., slices[-1] + 1 :].any()


def test_slices_between_contours_that_differ_or_are_far_stay_empty_and_are_counted():
    mask = np.zeros((20, 20, 20), bool)
    mask[1:6, 1:6, 2] = mask[12:18, 12:18, 4] = mask[12:18, 12:18, 12] = True
    before = mask.copy()
    assert fill_gaps(mask) == (0, 8)
    np.testing.assert_array_equal(mask, before)


def rois(masks, every: int = 1) -> dict[str, list[np.ndarray]]:
    out = {}
    for organ, mask in masks.items():
        columns, rows, slices = (np.flatnonzero(mask.any(axis)) for axis in ((1, 2), (0, 2), (0, 1)))
        kept = sorted({*slices[::every].tolist(), int(slices[-1])})
        out[organ] = [rectangle(columns[[0, -1]], rows[[0, -1]], k) for k in kept]
    return out


def test_contours_on_every_second_slice_make_whole_organs_and_a_note(labelled):  # noqa: F811
    root, paths, masks = labelled
    drawn = rois(masks, 2)
    line = ORIGIN + np.array([[0, 0, 5 * SLICE_MM], [4, 0, 5 * SLICE_MM], [8, 0, 5 * SLICE_MM]])
    drawn["liver"] += [line, line[:1], drawn["liver"][0]]
    drawn["GTV 1"] = drawn["spleen"][:1]
    write_contours(root / "p" / "c.dcm", str(pydicom.dcmread(paths[0]).FrameOfReferenceUID), drawn)
    subject = subject_of(root)
    labels = read_labels(subject, LABELS, read_ct(subject).grid, Policy())
    np.testing.assert_array_equal(labels.array, expected(masks))
    assert labels.unused == {"GTV 1"}
    assert "liver: 2 contours without area dropped" in labels.notes
    assert any(re.fullmatch(r"spleen: \d+ slices between contours filled by interpolation", n) for n in labels.notes)
