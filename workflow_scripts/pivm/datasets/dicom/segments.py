"""DICOM-SEG of all types, placed by its own geometry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pivm.datasets.dicom.drawing import Drawn, Names, require_frame
from pivm.datasets.dicom.headers import read_dicom, text
from pivm.datasets.dicom.series import UNEVEN_STEP, Series
from pivm.errors import DataError
from pivm.scans.lattice import on_lattice

if TYPE_CHECKING:
    from highdicom.seg import Segmentation


def read_segments(path: Path, series: Series, names: Names) -> Drawn:
    """The organs of a DICOM-SEG: BINARY, FRACTIONAL (cut at half of the maximum) or LABELMAP.

    Frames that the object leaves out are empty. Where it lies on the voxels of the CT it is placed there, whatever its
    axes and extent; else it keeps its own grid.

    Args:
        path: of the object.
        series: the CT.
        names: what the names of segments mean.

    Raises:
        DataError: another frame of reference, or frames that form no regular stack.
    """
    import highdicom

    segmentation = highdicom.seg.Segmentation.from_dataset(read_dicom(path), copy=False)
    require_frame(path, text(segmentation, "FrameOfReferenceUID"), series)
    drawn, placed = Drawn(affine=series.affine), True
    for number in segmentation.segment_numbers:
        label = str(segmentation.get_segment_description(number).SegmentLabel)
        organ = names.organ(label)
        if organ is None:
            drawn.unused.add(label)
            continue
        mask, affine = _mask(segmentation, number, path)
        on_ct = on_lattice(mask, affine, series.shape, series.affine)
        placed = placed and on_ct is not None
        if on_ct is None:
            drawn.affine = affine
            drawn.add(organ, mask)
        else:
            drawn.add(organ, on_ct[0])
            if on_ct[1]:
                drawn.notes.append(f"{organ}: {on_ct[1]} voxels of the segment lie outside of the CT")
    if drawn.masks and not _refers_to(segmentation, series):
        drawn.notes.append("the DICOM-SEG was drawn on another series; it is placed by its own position")
    return drawn


def _mask(segmentation: Segmentation, number: int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """bool [columns, rows, slices] of one segment, and its affine in LPS."""
    try:
        volume = segmentation.get_volume(segment_numbers=[number], rtol=UNEVEN_STEP)
    except RuntimeError as error:
        raise DataError(f"{path}: the frames of the DICOM-SEG form no regular stack ({error})") from None
    array = volume.array[..., 0].transpose(2, 1, 0)  # frames, rows, columns, segments
    mask = array > 0.5 if array.dtype.kind == "f" else array > 0
    return mask, volume.affine[:, [2, 1, 0, 3]]


def _refers_to(segmentation: Segmentation, series: Series) -> bool:
    """Whether the object names the series of the CT as its source; one that names none is taken as it is."""
    sources = [text(item, "SeriesInstanceUID") for item in segmentation.get("ReferencedSeriesSequence", [])]
    return not sources or series.uid in sources
