"""Labels of a series in DICOM itself: segmentation objects (DICOM-SEG) and contours (RTSTRUCT)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from pivm.datasets.dicom.series import LPS_TO_RAS, Series, find_series, read_headers, sop_class
from pivm.datasets.mappings import organ_of
from pivm.errors import DataError
from pivm.labels import LabelSet
from pivm.scans.files import short
from pivm.scans.label_maps import LabelMap, Policy, merge_masks
from pivm.scans.nifti import Grid, InMemory

#: distance between a contour's plane and its slice, in slices, that rounding in the file may cause
OFF_PLANE = 0.25


def read_objects(
    files: Iterable[Path],
    objects: Iterable[Path],
    name: str,
    mapping: dict[str, str],
    label_set: LabelSet,
    grid: Grid,
    policy: Policy,
) -> LabelMap:
    """Read the one label object of a series.

    Args:
        files: of the series; objects: where the label object is looked for; name: of the folder, for messages;
        mapping: segment name -> organ, for names that do not say it themselves.

    Raises:
        DataError: none or several label objects, another frame of reference, or no organ of the label set.
    """
    kinds = {SegmentationStorage: _segments, RTStructureSetStorage: _contours}
    found = [(p, sop_class(h)) for p, h in read_headers(objects) if sop_class(h) in kinds]
    if len(found) != 1:
        raise DataError(f"{name}: {len(found)} label objects (DICOM-SEG or RTSTRUCT) found, expected one")
    path, kind = found[0]
    series = find_series(files, name)
    try:
        masks = kinds[kind](path, series, lambda theirs: mapping.get(theirs) or organ_of(theirs), label_set)
    except (AttributeError, ValueError, KeyError, IndexError, RuntimeError, TypeError) as error:
        raise DataError(f"{path}: labels cannot be read ({short(error)})") from None
    if not masks:
        raise DataError(f"{path}: none of its segments is in the label set; map their names in datasets.<name>.mapping")
    affine = LPS_TO_RAS @ series.affine
    merged = merge_masks({label_set.id_of(o): InMemory(str(path), m, affine) for o, m in masks.items()}, grid, policy)
    merged.files = set(masks)
    return merged


def _require_frame(path: Path, frame: str, series: Series) -> None:
    if frame != series.frame:
        raise DataError(f"{path}: drawn in another frame of reference ({frame}) than the CT ({series.frame})")


def _segments(path: Path, series: Series, organ_of_name, label_set: LabelSet) -> dict[str, np.ndarray]:
    """organ -> bool [columns, rows, slices] of a DICOM-SEG that refers to the slices of the series."""
    import highdicom

    segmentation = highdicom.seg.segread(path)
    _require_frame(path, str(segmentation.get("FrameOfReferenceUID", "")), series)
    masks = {}
    for number in segmentation.segment_numbers:
        organ = organ_of_name(str(segmentation.get_segment_description(number).SegmentLabel))
        if organ in label_set.names:
            pixels = segmentation.get_pixels_by_source_instance(
                series.uids,
                segment_numbers=[number],
                assert_missing_frames_are_empty=True,
                ignore_spatial_locations=True,
            )
            mask = pixels[..., 0].transpose(2, 1, 0) > 0
            masks[organ] = masks[organ] | mask if organ in masks else mask
    return masks


def _contours(path: Path, series: Series, organ_of_name, label_set: LabelSet) -> dict[str, np.ndarray]:
    """organ -> bool [columns, rows, slices] of an RTSTRUCT; a pixel belongs to a contour that holds its centre."""
    from skimage.draw import polygon2mask

    structures = pydicom.dcmread(path)
    rois = {int(r.ROINumber): r for r in structures.StructureSetROISequence}
    to_index = np.linalg.inv(series.affine)
    masks: dict[str, np.ndarray] = {}
    for drawn in structures.get("ROIContourSequence", []):
        roi = rois[int(drawn.ReferencedROINumber)]
        organ = organ_of_name(str(roi.ROIName))
        if organ not in label_set.names:
            continue
        _require_frame(path, str(roi.get("ReferencedFrameOfReferenceUID", "")), series)
        mask = np.zeros(series.shape, bool, order="F")
        for contour in drawn.get("ContourSequence", []):
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            column, row, depth = (to_index @ np.column_stack([points, np.ones(len(points))]).T)[:3]
            k = round(float(depth.mean()))
            if np.abs(depth - k).max() > OFF_PLANE or not 0 <= k < series.shape[2]:
                raise DataError(f"{path}: a contour of {roi.ROIName!r} lies on no slice of the CT")
            # a contour inside another one is a hole
            mask[..., k] ^= polygon2mask(series.shape[:2], np.column_stack([column, row]))
        masks[organ] = masks[organ] | mask if organ in masks else mask
    return masks
