"""TotalSegmentator's layout in folders and zips, subjects with labels alone, and what listings refuse."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pivm.cohort.own_split import require_fitting
from pivm.cohort.preparation import prepare_subject
from pivm.cohort.prior import Prior
from pivm.cohort.record import SubjectRecord
from pivm.cohort.selection import selection_table
from pivm.cohort.split import volume_sources
from pivm.datasets import Dataset, read_ct, read_labels
from pivm.datasets.meta_table import read_meta
from pivm.errors import CohortError, ConfigError, DataError
from pivm.labels import ORGANS_34, LabelSet
from pivm.scans.files import how_to_convert
from pivm.scans.label_maps import Policy
from pivm.scans.nifti import Image
from pivm.scans.outline import OutlineMargins, outline_from_labels
from pivm.synthesis.source import outline_seed
from pivm.synthesis.volumes import read_source

from tests.conftest import ORGANS, make_scan

LABELS = LabelSet(ORGANS)


def listing(path, **settings):
    return Dataset("d", {"layout": "totalsegmentator", "path": str(path), **settings}).listing()


def pack(folder: Path, path: Path, prefix: str = "Totalsegmentator_dataset/", **more: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for one in sorted(folder.rglob("*")):
            if one.is_file():
                archive.write(one, f"{prefix}{one.relative_to(folder)}")
        for name, text in more.items():
            archive.writestr(name, text)
    return path


def test_a_zip_gives_what_its_folder_gives(tmp_path, selection, quality):
    for i in range(2):
        make_scan(tmp_path / "d" / f"s{i}", seed=i)
    (tmp_path / "d" / "meta.csv").write_text("image_id;split\ns0;train\ns1;test\n")
    folder, zipped = listing(tmp_path / "d"), listing(pack(tmp_path / "d", tmp_path / "d.zip"))
    assert zipped.split == folder.split == {"s0": "train", "s1": "test"}
    for name in folder.subjects:
        assert zipped.subjects[name].inputs() == [str(tmp_path / "d.zip")]
        one, other = (prepare_subject(name, x.subjects[name], LABELS, 32, selection, quality) for x in (folder, zipped))
        assert one[0] == other[0]
        for array in one[1]:
            np.testing.assert_array_equal(one[1][array], other[1][array])
    assert not any(p.is_dir() for p in tmp_path.iterdir() if p.name != "d")


def test_members_that_leave_the_folder_are_refused(tmp_path):
    make_scan(tmp_path / "d" / "s0")
    hostile = {"../x/ct.nii.gz": "x", "/etc/ct.nii.gz": "x", "a/../../y/ct.nii.gz": "x", "<script>/ct.nii.gz": "x"}
    found = listing(pack(tmp_path / "d", tmp_path / "d.zip", "", **hostile))
    assert list(found.subjects) == ["s0"]
    assert {"../x/ct.nii.gz", "/etc/ct.nii.gz", "a/../../y/ct.nii.gz", "<script>"} == set(found.refused)


def test_a_file_that_is_no_zip_is_named(tmp_path):
    (tmp_path / "d.zip").write_text("hello")
    with pytest.raises(DataError, match=r"d\.zip: not a readable zip"):
        listing(tmp_path / "d.zip")


def test_a_path_that_is_not_there_or_of_another_kind_is_named(tmp_path):
    with pytest.raises(DataError, match=r"d\.zip: no such file; put the zip there"):
        listing(tmp_path / "d.zip")
    (tmp_path / "d.tar").write_text("hello")
    for layout in ("totalsegmentator", "nnunet", "dicom"):
        with pytest.raises(DataError, match=r"d\.tar: a file, but this layout reads a folder; unpack it"):
            Dataset("d", {"layout": layout, "path": str(tmp_path / "d.tar")}).listing()


def test_an_archive_is_fetched_only_to_one_zip_that_is_not_there(tmp_path):
    download = {"url": "https://x/d.zip", "size": 1, "checksum": "md5:0"}
    settings = {"layout": "totalsegmentator", "download": download}
    assert Dataset("d", {**settings, "path": str(tmp_path)}).to_fetch() is None
    assert Dataset("d", {**settings, "path": str(tmp_path / "d.zip")}).to_fetch() == tmp_path / "d.zip"
    for path in (str(tmp_path / "scans"), [str(tmp_path), str(tmp_path / "d.zip")]):
        with pytest.raises(ConfigError, match=r"datasets\.d\.path: .*wants one name that ends in \.zip"):
            Dataset("d", {**settings, "path": path}).to_fetch()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"image_id;age;split\ns0;50;train\ns1;60;test\n", {"s0": "train", "s1": "test"}),
        (b"\xef\xbb\xbfimage_id,split\ns0,train\n", {"s0": "train"}),
        (b"image_id,Split\r\ns0,train\r\n", {"s0": "train"}),
        (
            b" IMAGE_ID \t age \tSPLIT\n s0\t7\tTraining \ns1\t8\tTEST\ns2\t8\tValid\n",
            {"s0": "train", "s1": "test", "s2": "val"},
        ),
        (b"image_id;comment, long;split\ns0;a, b, c;fold 1\n", {"s0": "fold 1"}),
        (b"image_id;split\ns0;\ns1\n", {}),
        (b"id;part\na;1\nb;2\n", {}),
        (b"", {}),
    ],
)
def test_the_own_split_is_that_of_meta_csv(content, expected):
    assert read_meta(content, "meta.csv").split == expected


def test_meta_csv_names_the_person_of_a_scan_by_a_hash(tmp_path):
    """Numbers from 0 on are patients; an empty cell, and what stands for one, is not."""
    for name in "abcdef":
        make_scan(tmp_path / "d" / name, slices=8)
    table = "image_id,patient\na,0\nb, 0 \nc,\nd,NA\ne,Mrs X\nnobody,Mrs X\n"
    (tmp_path / "d" / "meta.csv").write_text(table)
    for found in (listing(tmp_path / "d"), listing(pack(tmp_path / "d", tmp_path / "d.zip"))):
        persons = {name: subject.person for name, subject in found.subjects.items()}
        assert persons["a"] == persons["b"] != persons["e"]
        assert all(len(persons[name]) == 12 for name in "abe")
        assert [persons[name] for name in "cdf"] == ["", "", ""]
        assert "Mrs X" not in repr(found)


def test_a_faulty_meta_csv_is_named():
    for content in (b"image_id;split\ns\xe9;train\n", b"image_id;split\n" + b"a" * 200_000 + b";train\n"):
        with pytest.raises(DataError, match=r"meta\.csv: not a readable table"):
            read_meta(content, "meta.csv")


@pytest.mark.parametrize("name", ["id", "subject", "image id", "case_identifier"])
def test_a_split_of_nobody_is_named(name):
    with pytest.raises(DataError, match=rf"has a column 'Split', but none 'image_id'.*\(found {name}, Split\)"):
        read_meta(f"{name};Split\ns0;train\n".encode(), "meta.csv")


@pytest.mark.parametrize(
    ("theirs", "hint"), [(["1", "2"], "; leading zeros got lost"), (["x", "y"], "'0001'; correct")]
)
def test_a_split_of_other_names_stops_before_a_random_one_is_drawn(theirs, hint):
    ours, own = ["0001", "0002", "0003"], dict.fromkeys(theirs, "train")
    message = r"meta\.csv\) names 2 scans, first '\w'.*none of the 3.*first '0001'.*split\.source: random"
    with pytest.raises(CohortError, match=message) as error:
        require_fitting(ours, own)
    assert hint in str(error.value)
    require_fitting(ours, {})
    require_fitting([], own)
    require_fitting(ours, own | {"0003": "test"})


def test_what_systems_leave_beside_the_data_is_not_there(tmp_path, selection, quality):
    sound = tmp_path / "d"
    for name in ("a", "b"):
        make_scan(sound / name)
    (sound / "meta.csv").write_text("image_id;split\na;train\nb;test\n")
    clean, ghosts = listing(sound), {}
    for path in [p for p in sound.rglob("*") if p.is_file()]:
        inside = path.relative_to(sound)
        ghosts[f"__MACOSX/d/{inside.parent}/._{path.name}"] = "ghost"
        ghosts[f"__MACOSX/d/{inside}"] = ghosts[f"d/@eaDir/{inside}"] = "ghost"
        ghosts[f"d/{inside.parent}/._{path.name}"] = ghosts[f"d/{inside.parent}/.DS_Store"] = "ghost"
    zipped = listing(pack(sound, tmp_path / "d.zip", "d/", **ghosts))
    for name, text in ghosts.items():
        place = tmp_path / (name if name.startswith("d/") else f"d/{name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    for found in (zipped, listing(sound)):
        assert (sorted(found.subjects), found.refused, found.split) == (["a", "b"], {}, clean.split)
        record = prepare_subject("a", found.subjects["a"], LABELS, 32, selection, quality)[0]
        assert record == prepare_subject("a", clean.subjects["a"], LABELS, 32, selection, quality)[0]
        assert record.status == "selected"


@pytest.mark.parametrize(("ending", "what"), [("nrrd", "NRRD"), ("mha", "MetaImage"), ("MHD", "MetaImage")])
def test_other_formats_are_named_with_the_line_that_converts_them(scan, ending, what, selection, quality):
    (scan / "ct.nii.gz").rename(scan / f"ct.{ending.lower()}")
    subject = listing(scan.parent).subjects["p1"]
    record = prepare_subject("p1", subject, LABELS, 32, selection, quality)[0]
    assert record.status == "set aside"  # and not taken for labels without CT
    assert f"ct.{ending.lower()} is {what}, which is not read; convert it" in record.reason
    assert f"s.WriteImage(s.ReadImage('ct.{ending.lower()}'), 'ct.nii.gz')" in record.reason
    (scan / f"ct.{ending.lower()}").rename(scan / "ct.nii.gz")
    for path in (scan / "segmentations").iterdir():
        path.rename(path.with_name(path.name.replace("nii.gz", ending)))
    record = prepare_subject("p1", listing(scan.parent).subjects["p1"], LABELS, 32, selection, quality)[0]
    assert f"kidney_left.{ending} is {what}" in record.reason
    with pytest.raises(DataError, match=f"no NIfTI file: x.{ending} is {what}"):
        Image(scan / f"x.{ending}")


def test_the_line_for_a_format_that_simpleitk_does_not_read_converts_it(tmp_path):
    voxels, affine = np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([0.7, 0.8, 3.0, 1.0])
    nib.save(nib.MGHImage(voxels, affine), tmp_path / "ct.mgz")
    command = how_to_convert("ct.mgz").rpartition("convert it: python ")[2]
    subprocess.run([sys.executable, *shlex.split(command)], cwd=tmp_path, check=True)
    made = nib.load(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(np.asarray(made.dataobj), voxels)
    np.testing.assert_allclose(made.affine, affine, atol=1e-5)


def test_names_in_other_encodings_do_not_end_a_listing(scan, selection, quality):
    folder = os.fsencode(scan / "segmentations")
    for name in (b"K\xf6rper.nii.gz", b"K\xf6rper"):
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(b"x")
    os.mkdir(os.path.join(os.fsencode(scan.parent), b"p\xfc"))
    found = listing(scan.parent)
    assert list(found.refused) == ["p\\udcfc"]
    record = prepare_subject("p1", found.subjects["p1"], LABELS, 32, selection, quality)[0]
    assert (record.status, record.unused) == ("selected", ["K\\udcf6rper"])
    record.save(scan / "record.json")
    assert SubjectRecord.load(scan / "record.json").unused == record.unused


def test_members_of_a_zip_may_begin_with_a_dot_and_a_slash(tmp_path, selection, quality):
    make_scan(tmp_path / "d" / "s0")
    found = listing(pack(tmp_path / "d", tmp_path / "d.zip", "./scans/"))
    record = prepare_subject("s0", found.subjects["s0"], LABELS, 32, selection, quality)[0]
    assert record.status == "selected", record.reason


def test_a_damaged_member_sets_its_subject_aside(tmp_path, selection, quality):
    make_scan(tmp_path / "d" / "s0")
    content = bytearray(pack(tmp_path / "d", tmp_path / "d.zip").read_bytes())
    at = content.find(b"s0/ct.nii.gz") + 400
    content[at : at + 50] = bytes(50)
    (tmp_path / "d.zip").write_bytes(bytes(content))
    (subject,) = listing(tmp_path / "d.zip").subjects.values()
    record, _, _ = prepare_subject("s0", subject, LABELS, 32, selection, quality)
    assert "s0/ct.nii.gz: cannot be read (Bad CRC-32" in record.reason


def test_a_changed_mask_changes_the_fingerprint(scan):
    before = listing(scan.parent).subjects["p1"]
    assert before.inputs() == [str(scan / "ct.nii.gz")]
    os.utime(scan / "segmentations" / "liver.nii.gz", ns=(1, 1))
    assert listing(scan.parent).subjects["p1"].fingerprint != before.fingerprint


def test_mask_names_can_be_mapped(scan):
    (scan / "segmentations" / "liver.nii.gz").rename(scan / "segmentations" / "Leber.nii.gz")
    subject = listing(scan.parent, mapping={"Leber": "liver"}).subjects["p1"]
    labels = read_labels(subject, LABELS, read_ct(subject).grid, Policy())
    assert labels.files == set(ORGANS)
    assert (labels.array == LABELS.id_of("liver")).any()


class TestLabelsOnly:
    @pytest.fixture
    def subject(self, scan):
        (scan / "ct.nii.gz").unlink()
        return listing(scan.parent).subjects["p1"]

    def test_it_is_listed_but_takes_no_part_in_training_or_test(self, subject, selection, quality):
        record, arrays, rows = prepare_subject("p1", subject, LABELS, 32, selection, quality)
        assert record.status == "labels only"
        assert [len(arrays[name]) for name in ("hu", "labels", "body")] == [0, len(rows), 0]
        assert arrays["labels"].any()
        table = selection_table([record], {})
        assert table["status"].tolist() == ["labels only"]
        assert table["labels_present"].tolist() == [6]

    def test_faulty_labels_are_set_aside(self, subject, selection, quality, scan):
        (scan / "segmentations" / "liver.nii.gz").write_bytes(b"")
        record, _, _ = prepare_subject("p1", subject, LABELS, 32, selection, quality)
        assert (record.status, "not a readable NIfTI" in record.reason) == ("set aside", True)

    def test_it_can_be_the_source_of_a_volume(self):
        split = {"a": "train", "b": "test", "p1": "labels_only"}
        assert volume_sources(split, "labels_only", 2) == ["p1"]
        assert volume_sources(split, "train", 2) == ["a"]
        with pytest.raises(CohortError, match="but volumes are asked for"):
            volume_sources(split, "train", 0)
        with pytest.raises(CohortError, match="labels_only, but no subject is of that kind"):
            volume_sources({"a": "train"}, "labels_only", 2)

    def test_its_outline_is_estimated(self, subject):
        prior = Prior(
            kind="body",
            names=ORGANS,
            organs=ORGANS,
            means=(0.0,) * 8,
            voxels=(1,) * 8,
            variation_sd=1.0,
            organ_sd=(1.0,) * 8,
            absolute_mean=0.0,
            absolute_sd=1.0,
            hu_range=(-1024, 1000),
            outline_margins_mm=(20.0, 10.0, 15.0),
        )
        source = read_source("p1", subject, LABELS, 32, Policy(), "air", prior)
        assert source.hu is None
        assert source.label_map.shape == (30, 32, 32)
        body = source.label_map > 0
        # organs span 14 voxels of 4 mm from front to back; 5 mm pixels
        rows = np.flatnonzero(body[15].any(1))
        assert abs(len(rows) * 5 - (14 * 4 + 30)) <= 10
        np.testing.assert_array_equal(body[0], body[3])  # a slice without organs takes the nearest outline

    def test_its_volumes_have_the_outline_of_its_slices(self, subject):
        """Margins are drawn by its name, in both."""
        two = {"patients_mm": [[-9.0, -9, -9], [9, 9, 9]]}
        prior = Prior(
            "body", ORGANS, ORGANS, (0.0,) * 8, (1,) * 8, 1.0, (1.0,) * 8, 0.0, 1.0, (-9, 9), (20.0,) * 3, two
        )
        found = set()
        for name in "abcdefgh":
            source = read_source(name, subject, LABELS, 32, Policy(), "air", prior)
            slices, pixel_mm = source.plane.standardise(source.labels, 0, smooth=False), source.plane.pixel_mm
            margins = OutlineMargins.of((20.0,) * 3, two).draw(slices, pixel_mm, outline_seed(name))
            np.testing.assert_array_equal(source.label_map > 0, outline_from_labels(slices, pixel_mm, margins, 5.0))
            found.add(margins[0, 0])
        assert found == {11.0, 29.0}

    def test_real_subjects(self, real_ct, selection, quality):
        found = listing(real_ct.parent / "labels_only").subjects
        assert set(found) == {"s0000", "s0001", "s0004", "s0006"}
        labels = LabelSet(ORGANS_34)
        records = [prepare_subject(n, s, labels, 64, selection, quality)[0] for n, s in found.items()]
        assert {r.status for r in records} <= {"labels only", "set aside"}
        assert any(r.status == "labels only" for r in records)
        for record in records:
            assert record.status == "labels only" or "not an abdominal scan" in record.reason
