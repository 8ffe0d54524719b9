"""Labels of a series in DICOM itself: segmentation objects (DICOM-SEG) and contours (RTSTRUCT)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from pivm.datasets.dicom.drawing import Names
from pivm.datasets.dicom.headers import is_dicom, read_dicom, read_headers, sop_class, text
from pivm.datasets.dicom.series import LPS_TO_RAS, find_series
from pivm.errors import DataError
from pivm.labels import LabelSet
from pivm.scans.files import short
from pivm.scans.label_maps import LabelMap, Policy, merge_masks
from pivm.scans.nifti import Grid, InMemory

#: segmentation objects that hold one id per pixel
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
#: kind of object -> its sequence of labels, and the tag of their names
NAMES_IN = {
    SegmentationStorage: ("SegmentSequence", "SegmentLabel"),
    LABEL_MAP_STORAGE: ("SegmentSequence", "SegmentLabel"),
    RTStructureSetStorage: ("StructureSetROISequence", "ROIName"),
}


def names_in_objects(files: Iterable[Path]) -> set[str] | None:
    """The names of the first label object among files, from its header alone.

    Args:
        files: where it is looked for. Folders of few files come first: an object rarely lies among slices.

    Returns:
        Names of its segments or ROIs; ``None`` where no object can be read.
    """
    files = list(files)
    beside = Counter(path.parent for path in files)
    for path in sorted(files, key=lambda path: (beside[path.parent], path)):
        try:
            if not is_dicom(path):
                continue
            tags = ["SOPClassUID", *(sequence for sequence, _ in NAMES_IN.values())]
            header = read_dicom(path, stop_before_pixels=True, specific_tags=tags)
        except DataError:
            return None
        if (kind := sop_class(header)) in NAMES_IN:
            sequence, name = NAMES_IN[kind]
            try:
                return {text(item, name) for item in header.get(sequence) or ()}
            except Exception:  # a sequence that cannot be decoded; the scan is set aside with the reason in its job
                return None
    return None


def read_objects(
    files: Iterable[Path],
    objects: Iterable[Path],
    places: str,
    mapping: Mapping[str, str],
    label_set: LabelSet,
    grid: Grid,
    policy: Policy,
) -> LabelMap:
    """Read the one label object of a series.

    Args:
        files: of the series.
        objects: where the label object is looked for.
        places: all places where labels were looked for, for messages.
        mapping: segment name -> organ, for names that do not say it themselves.
        label_set: the organs that are looked for.
        grid: of the CT.
        policy: what is done about labels that do not fit.

    Raises:
        DataError: none or several label objects, another frame of reference, or no organ of the label set.
    """
    from pivm.datasets.dicom.contours import read_contours
    from pivm.datasets.dicom.segments import read_segments

    files = list(files)
    kinds = {
        SegmentationStorage: read_segments,
        LABEL_MAP_STORAGE: read_segments,
        RTStructureSetStorage: read_contours,
    }
    found = [(p, sop_class(h)) for p, h in read_headers(objects) if sop_class(h) in kinds]
    if not found:
        raise DataError(f"no labels: looked for {places}; datasets.<name>.labels says where they are")
    if len(found) > 1:
        names = ", ".join(path.name for path, _ in found[:4])
        raise DataError(f"{len(found)} label objects ({names}), expected one; datasets.<name>.labels can name it")
    path, kind = found[0]
    series = find_series(files, str(path.parent))
    names = Names(mapping, label_set)
    try:
        drawn = kinds[kind](path, series, names)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: labels cannot be read ({type(error).__name__}: {short(error)})") from None
    if not drawn.masks:
        raise DataError(
            f"{path}: none of its segments ({', '.join(sorted(drawn.unused)[:8]) or 'it has none'}) is in the label "
            "set; map their names in datasets.<name>.mapping"
        )
    affine = LPS_TO_RAS @ drawn.affine
    masks = {label_set.id_of(o): InMemory(str(path), m, affine) for o, m in drawn.masks.items()}
    merged = merge_masks(masks, grid, policy)
    merged.files, merged.unused, merged.notes = set(drawn.masks), drawn.unused, [*merged.notes, *drawn.notes]
    return merged
