"""CT in one multi-frame object: Enhanced CT, and Legacy Converted Enhanced CT as archives make it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom

from pivm.datasets.dicom.headers import text
from pivm.datasets.dicom.stack import UNEVEN_STEP, Series
from pivm.errors import DataError
from pivm.scans.files import short

#: frames decoded at once
CHUNK = 16


def find_multi_frame(path: Path, header: pydicom.Dataset, name: str) -> Series:
    """The geometry of a multi-frame CT.

    Args:
        path: of the file.
        header: its header.
        name: of the folder, for messages.

    Raises:
        DataError: its frames do not form one regular stack.
    """
    import highdicom

    try:
        geometry = highdicom.imread(path, lazy_frame_retrieval=True).get_volume_geometry(rtol=UNEVEN_STEP)
    except Exception as error:
        raise DataError(
            f"{path}: multi-frame CT that cannot be read ({type(error).__name__}: {short(error)})"
        ) from None
    if geometry is None:
        raise DataError(f"{path}: multi-frame CT whose frames form no regular stack: missing, uneven or tilted")
    frames, rows, columns = geometry.spatial_shape
    if frames < 2:
        raise DataError(f"{path}: a single frame, so its thickness is unknown")
    affine = geometry.affine[:, [2, 1, 0, 3]]
    frame, series, patient = (text(header, tag) for tag in ("FrameOfReferenceUID", "SeriesInstanceUID", "PatientID"))
    return Series(name, (columns, rows, frames), affine, frame, series, patient, multi_frame=path)


def frames_hu(series: Series) -> Iterator[np.ndarray]:
    """HU of a multi-frame CT, frame by frame along the stack, float32 [rows, columns].

    Raises:
        DataError: frames that cannot be decoded, or whose header does not lead to HU.
    """
    import highdicom

    path = str(series.multi_frame)
    try:
        image = highdicom.imread(path, lazy_frame_retrieval=True)
        for start in range(0, series.shape[2], CHUNK):
            yield from image.get_volume(
                slice_start=start,
                slice_end=min(start + CHUNK, series.shape[2]),
                as_indices=True,
                dtype=np.float32,
                apply_real_world_transform=False,
                apply_modality_transform=True,
                apply_presentation_lut=False,
                rtol=UNEVEN_STEP,
            ).array
    except Exception as error:
        raise DataError(f"{path}: frames cannot be decoded ({type(error).__name__}: {short(error)})") from None
