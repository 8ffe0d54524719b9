"""Small sound inputs of every reader, of which one file is damaged at a time; used by fuzz_readers.py and the tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workflow_scripts")]

from benchmarks.fuzz_damage import damage_dicom, damage_json, damage_nifti  # noqa: E402

ORGANS = ("liver", "spleen", "kidney_right", "kidney_left", "stomach", "pancreas")
COLUMNS, ROWS, SLICES = 24, 20, 6
SPACING = (4.0, 4.0, 5.0)
AFFINE = np.diag([*SPACING, 1.0])


def body() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """HU int16 [R, A, S] and masks of six box-shaped organs."""
    rng = np.random.default_rng(0)
    hu = np.full((COLUMNS, ROWS, SLICES), -1000, np.int16)
    hu[2:-2, 2:-2] = 20
    masks = {}
    for k, organ in enumerate(ORGANS):
        mask = np.zeros(hu.shape, np.uint8)
        mask[18 - 3 * k : 21 - 3 * k, 5:15, 1:-1] = 1
        hu[mask > 0], masks[organ] = 30 + 10 * k, mask
    return np.clip(hu + rng.normal(0, 9, hu.shape), -1024, 3071).astype(np.int16), masks


@dataclass(frozen=True)
class Kind:
    """What is damaged, and how it is read.

    Attributes:
        build: (folder) writes the sound input and returns the files of which one is damaged at a time.
        damage: (content of a sound file, generator) -> damaged content.
        entry: of ``datasets`` in the config, without its path.
    """

    build: Callable[[Path], list[Path]]
    damage: Callable[[bytes, np.random.Generator], bytes]
    entry: dict[str, Any]


def build_nifti(folder: Path) -> list[Path]:
    """TotalSegmentator's layout; damaged are the CT and two masks."""
    hu, masks = body()
    place = folder / "d" / "p"
    (place / "segmentations").mkdir(parents=True)
    nib.save(nib.Nifti1Image(hu, AFFINE), place / "ct.nii.gz")
    for organ, mask in masks.items():
        nib.save(nib.Nifti1Image(mask, AFFINE), place / "segmentations" / f"{organ}.nii.gz")
    return [place / "ct.nii.gz", *(place / "segmentations" / f"{o}.nii.gz" for o in ("liver", "spleen"))]


def build_json(folder: Path) -> list[Path]:
    """nnU-Net's layout; damaged is ``dataset.json``."""
    hu, masks = body()
    for part, array in (("imagesTr/p_0000", hu), ("labelsTr/p", _ids(masks))):
        path = folder / "d" / f"{part}.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(array, AFFINE), path)
    facts = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **{organ: k for k, organ in enumerate(masks, start=1)}, "lesions": [1, 2]},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    (folder / "d" / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")
    return [folder / "d" / "dataset.json"]


def _ids(masks: dict[str, np.ndarray]) -> np.ndarray:
    return sum((mask * np.uint8(k) for k, mask in enumerate(masks.values(), start=1)), np.uint8(0))


def build_slices(folder: Path) -> list[Path]:
    """One DICOM file per slice, labels as NIfTI; damaged is one slice."""
    hu, masks = body()
    paths = write_slices(folder / "d" / "p", hu)
    flipped = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    nib.save(nib.Nifti1Image(_ids(masks)[::-1, ::-1], flipped), folder / "d" / "p.nii.gz")
    return [paths[0], paths[3]]


def write_slices(folder: Path, hu: np.ndarray) -> list[Path]:
    """A CT [R, A, S] as slices; the first pixel is at the right and in front, so columns run left and rows back."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    folder.mkdir(parents=True)
    paths = []
    for k in range(hu.shape[2]):
        header = Dataset()
        header.SOPClassUID, header.Modality, header.PatientID, header.PatientName = CTImageStorage, "CT", "x", "x"
        header.SOPInstanceUID, header.SeriesInstanceUID, header.StudyInstanceUID = f"1.2.3.{k}", "1.2.3", "1.2"
        header.FrameOfReferenceUID, header.SeriesDescription = "1.2.4", "abdomen"
        header.ImageType, header.Rows, header.Columns = ["ORIGINAL", "PRIMARY", "AXIAL"], hu.shape[1], hu.shape[0]
        for tag in ("PatientBirthDate", "AccessionNumber", "StudyID", "StudyTime"):
            setattr(header, tag, "")
        header.StudyDate, header.PatientSex, header.SliceThickness = "20200101", "O", SPACING[2]
        header.PixelSpacing, header.ImageOrientationPatient = [SPACING[1], SPACING[0]], [1, 0, 0, 0, 1, 0]
        header.ImagePositionPatient, header.RescaleSlope, header.RescaleIntercept = [0, 0, SPACING[2] * k], 1, -1024
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
        header.PixelData = np.ascontiguousarray(hu[::-1, ::-1, k].T.astype(np.int32) + 1024).astype("<u2").tobytes()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(folder / f"{k:02d}.dcm")
        header.save_as(paths[-1], enforce_file_format=True)
    return paths


def build_segments(folder: Path) -> list[Path]:
    """DICOM-SEG, which is damaged."""
    import highdicom
    import pydicom
    from pydicom.sr.codedict import codes

    hu, masks = body()
    paths = write_slices(folder / "d" / "p", hu)
    sct = codes.SCT
    described = [
        highdicom.seg.SegmentDescription(k, organ, sct.Organ, sct.Liver, "MANUAL") for k, organ in enumerate(masks, 1)
    ]
    pixels = np.stack([m[::-1, ::-1].transpose(2, 1, 0) for m in masks.values()], -1)
    sources = [pydicom.dcmread(path) for path in paths]
    segmentation = highdicom.seg.Segmentation(
        sources, pixels, "BINARY", described, "1.2.9", 2, "1.2.9.1", 1, "a", "b", "1", "2"
    )
    segmentation.save_as(folder / "d" / "p" / "labels.dcm")
    return [folder / "d" / "p" / "labels.dcm"]


def build_contours(folder: Path) -> list[Path]:
    """RTSTRUCT, which is damaged."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

    hu, masks = body()
    write_slices(folder / "d" / "p", hu)
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID, header.Modality = RTStructureSetStorage, "1.2.8", "RTSTRUCT"
    header.StructureSetROISequence, header.ROIContourSequence = [], []
    for number, (organ, mask) in enumerate(masks.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, organ, "1.2.4"
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        stored = mask[::-1, ::-1]
        columns, rows, slices = (np.flatnonzero(stored.any(axis)) for axis in ((1, 2), (0, 2), (0, 1)))
        for k in slices:
            contour = Dataset()
            corners = [(columns[i], rows[j]) for i, j in ((0, 0), (-1, 0), (-1, -1), (0, -1))]
            points = [v for c, r in corners for v in (c * SPACING[0], r * SPACING[1], k * SPACING[2])]
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
            contour.ContourData = [float(v) for v in points]
            drawn.ContourSequence.append(contour)
        header.StructureSetROISequence.append(roi)
        header.ROIContourSequence.append(drawn)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as(folder / "d" / "p" / "contours.dcm", enforce_file_format=True)
    return [folder / "d" / "p" / "contours.dcm"]


_DICOM = {"layout": "dicom", "mapping": {str(k): organ for k, organ in enumerate(ORGANS, start=1)}}
KINDS = {
    "slices": Kind(build_slices, damage_dicom, _DICOM),
    "contours": Kind(build_contours, damage_dicom, {"layout": "dicom"}),
    "segments": Kind(build_segments, damage_dicom, {"layout": "dicom"}),
    "nifti": Kind(build_nifti, damage_nifti, {"layout": "totalsegmentator"}),
    "dataset_json": Kind(build_json, damage_json, {"layout": "nnunet"}),
}


def read_all(kind: Kind, folder: Path) -> list[Any]:
    """The records of an input, as the workflow reads it: listing, then subject by subject."""
    from pivm.cohort.preparation import prepare_subject
    from pivm.cohort.selection import SelectionSettings
    from pivm.datasets import Dataset
    from pivm.labels import LabelSet
    from pivm.scans.quality import QualitySettings

    listing = Dataset("d", {**kind.entry, "path": str(folder / "d")}).listing()
    selection = SelectionSettings(axial_slices=(4, 600), organs=ORGANS, slices_per_scan=3)
    return [
        prepare_subject(name, subject, LabelSet(ORGANS), 24, selection, QualitySettings())[0]
        for name, subject in listing.subjects.items()
    ]
