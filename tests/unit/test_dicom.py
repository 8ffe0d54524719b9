"""DICOM series: real scan against its NIfTI; order, HU per slice, compression and labels on a made-up series."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pivm.cohort.persons import persons
from pivm.cohort.preparation import prepare_subject
from pivm.cohort.selection import selection_table
from pivm.datasets import Dataset, read_ct, read_labels
from pivm.datasets.dicom.series import find_series
from pivm.errors import ConfigError, DataError
from pivm.labels import ORGANS_34, LabelSet
from pivm.scans.label_maps import Policy
from pydicom.dataset import Dataset as Header
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from tests.conftest import ORGANS, make_scan, save_nifti

LABELS = LabelSet(ORGANS)
#: LPS position of the first pixel of the lowest slice; 4 mm between columns, 3 mm between rows, 5 mm between slices
ORIGIN, COLUMN_MM, ROW_MM, SLICE_MM = np.array([-80.0, -50.0, -700.0]), 4.0, 3.0, 5.0


def write_series(folder: Path, hu: np.ndarray, slope=1.0, intercept=-1024.0, **changes) -> list[Path]:
    """Write HU [columns, rows, slices] as one file per slice, in shuffled order of names."""
    folder.mkdir(parents=True, exist_ok=True)
    series, frame = generate_uid(entropy_srcs=[str(folder)]), generate_uid(entropy_srcs=["frame", str(folder)])
    paths = []
    for k in range(hu.shape[2]):
        header = Header()
        header.SOPClassUID, header.Modality = CTImageStorage, "CT"
        header.SOPInstanceUID = generate_uid(entropy_srcs=[str(folder), str(k)])
        header.SeriesInstanceUID, header.StudyInstanceUID, header.FrameOfReferenceUID = series, frame, frame
        header.PatientID, header.PatientName, header.SeriesDescription = "x", "x", "abdomen"
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.Rows, header.Columns = hu.shape[1], hu.shape[0]
        header.PixelSpacing, header.SliceThickness = [ROW_MM, COLUMN_MM], SLICE_MM
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        header.ImagePositionPatient = [*ORIGIN[:2], ORIGIN[2] + SLICE_MM * k]
        header.RescaleSlope, header.RescaleIntercept = slope, intercept
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
        stored = np.rint((hu[:, :, k].T - intercept) / slope).astype(np.uint16)
        header.PixelData = np.ascontiguousarray(stored).tobytes()
        for tag, value in changes.items():
            setattr(header, tag, value(k) if callable(value) else value)
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        paths.append(folder / f"{(k * 7) % hu.shape[2]:03d}_{k}")
        header.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.fixture
def hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1500, (6, 5, 8)).astype(np.int16)


def subject_of(root: Path, **settings):
    (subject,) = Dataset("d", {"layout": "dicom", "path": str(root), **settings}).listing().subjects.values()
    return subject


def test_a_series_is_ordered_by_position_and_turned_to_ras(tmp_path, hu):
    write_series(tmp_path / "p", hu)
    volume = read_ct(subject_of(tmp_path))
    # LPS to RAS: columns run to the left and rows to posterior, so both axes are flipped
    np.testing.assert_array_equal(volume.hu, hu[::-1, ::-1])
    assert volume.spacing == (COLUMN_MM, ROW_MM, SLICE_MM)
    far = -np.add(ORIGIN, [COLUMN_MM * 5, ROW_MM * 4, 0])
    np.testing.assert_allclose(volume.affine[:3, 3], [far[0], far[1], ORIGIN[2]])


def test_series_of_one_patient_id_are_of_one_person_and_the_id_stays_where_it_is(tmp_path, hu, selection, quality):
    ids = {"a": "Doe-4711", "b": " doe-4711", "c": "ANONYMOUS", "d": "anonymous", "e": "Doe-4712"}
    for i, (folder, patient) in enumerate(ids.items()):
        write_series(tmp_path / folder, hu + i, PatientID=patient, PatientName=patient)
    listing = Dataset("d", {"layout": "dicom", "path": str(tmp_path)}).listing()
    records = [prepare_subject(n, s, LABELS, 32, selection, quality)[0] for n, s in listing.subjects.items()]
    assert persons(records) == {"a": "a", "b": "a", "c": "c", "d": "d", "e": "e"}
    assert {r.status for r in records} == {"set aside"}  # it is known of these, too
    assert not any("doe" in f"{record}{selection_table([record], {}).to_csv()}".casefold() for record in records)


def test_slope_and_intercept_are_those_of_each_slice(tmp_path, hu):
    even = hu // 8 * 8
    write_series(tmp_path / "p", even, slope=2.0, intercept=-2048.0)
    for path in sorted((tmp_path / "p").iterdir())[:3]:
        header = pydicom.dcmread(path)
        pixels = header.pixel_array.astype(np.int32) * 2 - 2048
        header.RescaleSlope, header.RescaleIntercept = 4.0, -1024.0
        header.PixelData = ((pixels + 1024) // 4).astype(np.uint16).tobytes()
        header.save_as(path)
    np.testing.assert_array_equal(read_ct(subject_of(tmp_path)).hu, even[::-1, ::-1])


@pytest.mark.parametrize("syntax", ["JPEG2000Lossless", "JPEGLosslessProcess14_1", "JPEGLSLossless", "RLELossless"])
def test_compressed_series_give_the_same_hu(tmp_path, syntax):
    import gdcm

    hu = np.random.default_rng(0).integers(-1000, 1500, (64, 48, 3)).astype(np.int16)
    for path in write_series(tmp_path / "p", hu):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    np.testing.assert_array_equal(read_ct(subject_of(tmp_path)).hu, hu[::-1, ::-1])


def test_localisers_notes_and_copies_of_a_slice_do_not_matter(tmp_path, hu):
    paths = write_series(tmp_path / "p", hu)
    shutil.copy(paths[0], tmp_path / "p" / "copy")
    (tmp_path / "p" / "notes.txt").write_text("scanned on a Monday")
    write_series(tmp_path / "p" / "scout", hu[:, :, :1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    os.symlink(tmp_path / "p", tmp_path / "p" / "loop")
    np.testing.assert_array_equal(read_ct(subject_of(tmp_path)).hu, hu[::-1, ::-1])


def missing_slice(folder, hu):
    write_series(folder, hu)[3].unlink()


def doubled_slice(folder, hu):
    write_series(folder, hu, ImagePositionPatient=lambda k: [*ORIGIN[:2], ORIGIN[2] + SLICE_MM * min(k, 6)])


def tilted(folder, hu):
    write_series(folder, hu, ImagePositionPatient=lambda k: [ORIGIN[0], ORIGIN[1] + 1.5 * k, ORIGIN[2] + SLICE_MM * k])


def two_series(folder, hu):
    write_series(folder / "a", hu)
    write_series(folder / "b", hu, SeriesDescription="thorax")


def mixed_spacing(folder, hu):
    write_series(folder, hu, PixelSpacing=lambda k: [3.0, 4.0 + (k == 2)])


def mixed_frames(folder, hu):
    write_series(folder, hu, FrameOfReferenceUID=lambda k: f"1.2.{k // 4}")


def magnetic_resonance(folder, hu):
    write_series(folder, hu, SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR")


def no_intercept(folder, hu):
    for path in write_series(folder, hu):
        header = pydicom.dcmread(path)
        del header.RescaleIntercept
        header.save_as(path)


def cut_off_pixels(folder, hu):
    path = write_series(folder, hu)[2]
    header = pydicom.dcmread(path)
    header.PixelData = header.PixelData[:20]
    header.save_as(path)


def one_slice(folder, hu):
    write_series(folder, hu[:, :, :1])


def huge(folder, hu):
    write_series(folder, hu, Rows=65535, Columns=65535)


def unshifted(folder, hu):
    write_series(folder, np.abs(hu), intercept=0.0)


def text_only(folder, hu):
    folder.mkdir(parents=True)
    (folder / "a.dcm").write_text("hello")


FAULTS = {
    missing_slice: r"missing or uneven: 10 mm from -690 to -680 mm, elsewhere 5 mm",
    doubled_slice: "slices at one position",
    tilted: "gantry tilt of 16.7 degrees",
    two_series: r"2 CT series in one folder \(abdomen, thorax\)",
    mixed_spacing: "differ in PixelSpacing",
    mixed_frames: "differ in FrameOfReferenceUID",
    magnetic_resonance: "modalities: MR",
    no_intercept: "the header lacks RescaleIntercept",
    cut_off_pixels: "pixels cannot be decoded",
    one_slice: "a single slice",
    huge: "header claims",
    unshifted: "no value below 0",
    text_only: "no DICOM file, though its name says so",
}


@pytest.mark.parametrize("make", FAULTS, ids=lambda f: f.__name__)
def test_a_faulty_series_is_set_aside_with_its_reason(tmp_path, hu, make, selection, quality):
    make(tmp_path / "p", hu)
    record, _, _ = prepare_subject("p", subject_of(tmp_path), LABELS, 32, selection, quality)
    assert record.status == "set aside"
    with pytest.raises(DataError, match=FAULTS[make]):
        raise DataError(record.reason)


@pytest.fixture
def labelled(tmp_path):
    """A series with organs, and its masks [columns, rows, slices] in the order of the files."""
    scan = make_scan(tmp_path / "nifti" / "p")
    images = {o: nib.load(scan / "segmentations" / f"{o}.nii.gz") for o in ORGANS}
    masks = {o: np.asarray(i.dataobj)[::-1, ::-1] for o, i in images.items()}
    paths = write_series(tmp_path / "d" / "p", np.asarray(nib.load(scan / "ct.nii.gz").dataobj)[::-1, ::-1])
    return tmp_path / "d", paths, masks


def expected(masks):
    return sum((m[::-1, ::-1] > 0) * np.uint8(LABELS.id_of(o)) for o, m in masks.items())


def test_dicom_seg(labelled, selection, quality):
    import highdicom
    from pydicom.sr.codedict import codes

    root, paths, masks = labelled
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=k,
            segment_label=organ.replace("_", " "),
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type="MANUAL",
        )
        for k, organ in enumerate(masks, start=1)
    ]
    for path in paths:
        header = pydicom.dcmread(path)
        for tag in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
            setattr(header, tag, "")
        header.StudyDate, header.PatientSex = "20200101", "O"
        header.save_as(path)
    sources = [pydicom.dcmread(p) for p in paths]
    pixels = np.stack([np.stack([m[:, :, k].T for m in masks.values()], -1) for k in range(len(paths))])
    segmentation = highdicom.seg.Segmentation(
        sources, pixels.astype(np.uint8), "BINARY", described, generate_uid(), 2, generate_uid(), 1, "a", "b", "1", "2"
    )
    segmentation.save_as(root / "p" / "labels.dcm")
    subject = subject_of(root)
    labels = read_labels(subject, LABELS, read_ct(subject).grid, Policy())
    np.testing.assert_array_equal(labels.array, expected(masks))
    assert labels.files == set(ORGANS)
    assert prepare_subject("p", subject, LABELS, 32, selection, quality)[0].status == "selected"
    segmentation.FrameOfReferenceUID = "1.2.3"
    segmentation.save_as(root / "p" / "labels.dcm")
    record, _, _ = prepare_subject("p", subject, LABELS, 32, selection, quality)
    assert "another frame of reference" in record.reason


def write_contours(path: Path, frame: str, rois: dict[str, list[np.ndarray]]) -> None:
    header = Header()
    header.SOPClassUID, header.SOPInstanceUID, header.Modality = RTStructureSetStorage, generate_uid(), "RTSTRUCT"
    header.StructureSetROISequence, header.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, drawn = Header(), Header()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, frame
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            contour = Header()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [float(v) for v in np.ravel(points)]
            drawn.ContourSequence.append(contour)
        header.StructureSetROISequence.append(roi)
        header.ROIContourSequence.append(drawn)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)


def rectangle(columns, rows, k) -> np.ndarray:
    """A contour around the centres of some columns and rows (first, last) of slice k, half a pixel outside, LPS mm."""
    (c0, c1), (r0, r1) = columns, rows
    corners = [(c0 - 0.5, r0 - 0.5), (c1 + 0.5, r0 - 0.5), (c1 + 0.5, r1 + 0.5), (c0 - 0.5, r1 + 0.5)]
    return np.add(ORIGIN, [[c * COLUMN_MM, r * ROW_MM, k * SLICE_MM] for c, r in corners])


def test_rtstruct(labelled, selection, quality):
    root, paths, masks = labelled
    frame = str(pydicom.dcmread(paths[0]).FrameOfReferenceUID)
    rois = {}
    for organ, mask in masks.items():
        columns, rows, slices = (np.flatnonzero(mask.any(axis)) for axis in ((1, 2), (0, 2), (0, 1)))
        rois[organ] = [rectangle(columns[[0, -1]], rows[[0, -1]], k) for k in slices]
    rois["liver"].append(rectangle((masks["liver"].any((1, 2)).argmax(),) * 2, (20, 20), 10))
    hole = masks["liver"].copy()
    hole[masks["liver"].any((1, 2)).argmax(), 20, 10] = 0
    write_contours(root / "p" / "contours.dcm", frame, rois)
    subject = subject_of(root)
    labels = read_labels(subject, LABELS, read_ct(subject).grid, Policy())
    np.testing.assert_array_equal(labels.array, expected({**masks, "liver": hole}))
    write_contours(root / "p" / "contours.dcm", "1.2.3", rois)
    record, _, _ = prepare_subject("p", subject, LABELS, 32, selection, quality)
    assert "another frame of reference" in record.reason
    write_contours(root / "p" / "contours.dcm", frame, {"liver": [rectangle((3, 5), (3, 5), 99)]})
    record, _, _ = prepare_subject("p", subject, LABELS, 32, selection, quality)
    assert "lies on no slice of the CT" in record.reason


def test_nifti_labels_follow_the_affine(labelled):
    root, _, masks = labelled
    affine = np.diag([-COLUMN_MM, ROW_MM, SLICE_MM, 1.0])
    # stored with the y axis the other way round than the series
    affine[:3, 3] = [-ORIGIN[0], -(ORIGIN[1] + ROW_MM * 31), ORIGIN[2]]
    merged = sum((m > 0) * np.uint8(LABELS.id_of(o)) for o, m in masks.items())
    save_nifti(np.ascontiguousarray(merged[:, ::-1]), root / "p.nii.gz", affine)
    with pytest.raises(ConfigError, match="which organ is which id"):
        subject_of(root)
    subject = subject_of(root, mapping={str(LABELS.id_of(o)): o for o in ORGANS})
    labels = read_labels(subject, LABELS, read_ct(subject).grid, Policy())
    np.testing.assert_array_equal(labels.array, expected(masks))


def test_a_label_template_that_fits_no_subject_or_all_of_them(labelled):
    root, paths, masks = labelled
    with pytest.raises(ConfigError, match=r"labels: found 'x/\{subject\}\.nii', which exists in .* for no subject"):
        subject_of(root, labels="x/{subject}.nii")
    save_nifti(masks["liver"], root / "all.nii.gz")
    one = {"labels": "all.nii.gz", "mapping": {1: "liver"}}
    assert subject_of(root, **one).ids == {"1": "liver"}
    with pytest.raises(ConfigError, match=r"found 'Leber': liver, but .* has no names, expected id: organ name"):
        subject_of(root, labels="all.nii.gz", mapping={"Leber": "liver"})
    shutil.copytree(paths[0].parent, root / "q")
    with pytest.raises(ConfigError, match=r"'all\.nii\.gz', the same for 2 subjects; write \{subject\}"):
        Dataset("d", {"layout": "dicom", "path": str(root), **one}).listing()


def test_no_labels_or_two_of_them(labelled, selection, quality):
    root, _, _ = labelled
    record, _, _ = prepare_subject("p", subject_of(root), LABELS, 32, selection, quality)
    assert re.search(r"no labels: looked for .*p\.nii\.gz.*DICOM-SEG or RTSTRUCT", record.reason)


def test_a_changed_slice_changes_the_fingerprint(tmp_path, hu):
    paths = write_series(tmp_path / "p", hu)
    before = subject_of(tmp_path)
    os.utime(paths[0], ns=(1, 1))
    assert subject_of(tmp_path).fingerprint != before.fingerprint


class TestRealScan:
    """The series of PIVM_REAL_CT against the NIfTI beside it, both read here with nibabel and pydicom alone."""

    @pytest.fixture
    def subject(self, real_ct):
        settings = {"labels": "example_seg_dicom.nii.gz", "mapping": "totalsegmentator_v2"}
        return subject_of(real_ct.parent / "dicom_sample", **settings)

    def test_hu_are_those_of_the_nifti(self, real_ct, subject):
        reference = nib.as_closest_canonical(nib.load(real_ct / "ts_example_dicom" / "ct.nii.gz"))
        volume = read_ct(subject)
        np.testing.assert_array_equal(volume.hu, np.asarray(reference.dataobj))
        np.testing.assert_allclose(volume.affine, reference.affine, atol=1e-3)

    def test_hu_are_those_of_one_slice_read_directly(self, subject):
        folder = Path(subject.ct)
        header = pydicom.dcmread(sorted(folder.iterdir())[0])
        direct = header.pixel_array.astype(int) * int(header.RescaleSlope) + int(header.RescaleIntercept)
        series = find_series(folder.iterdir(), "p")
        k = [s.path.name for s in series.slices].index(sorted(folder.iterdir())[0].name)
        np.testing.assert_array_equal(read_ct(subject).hu[::-1, ::-1, k].T, direct)

    def test_prepared_slices_are_the_pixels_of_the_series(self, real_ct, subject, selection, quality):
        """At the size of the scan nothing is resampled: row 0 is anterior and column 0 right, as in the files."""
        labels, headers = LabelSet(ORGANS_34), [pydicom.dcmread(p) for p in Path(subject.ct).iterdir()]
        headers.sort(key=lambda h: float(h.ImagePositionPatient[2]))
        series = np.stack([h.pixel_array * h.RescaleSlope + h.RescaleIntercept for h in headers])
        record, arrays, rows = prepare_subject("p", subject, labels, 512, selection, quality)
        assert (record.status, len(rows)) == ("selected", len(arrays["hu"]))
        np.testing.assert_array_equal(arrays["hu"], series[rows["z"]])
        nifti = Dataset("d", {"layout": "totalsegmentator", "path": str(real_ct)}).listing()
        same = prepare_subject("p", nifti.subjects["ts_example_dicom"], labels, 512, selection, quality)
        assert same[0].content == record.content
        for name, array in arrays.items():
            np.testing.assert_array_equal(same[1][name], array)

    def test_labels_are_those_of_the_masks(self, real_ct, subject):
        labels = read_labels(subject, LabelSet(ORGANS_34), read_ct(subject).grid, Policy())
        folder = real_ct / "ts_example_dicom" / "segmentations"
        for organ in ("liver", "stomach", "aorta", "autochthon_left"):
            mask = np.asarray(nib.as_closest_canonical(nib.load(folder / f"{organ}.nii.gz")).dataobj) > 0
            np.testing.assert_array_equal(labels.array == LabelSet(ORGANS_34).id_of(organ), mask)
