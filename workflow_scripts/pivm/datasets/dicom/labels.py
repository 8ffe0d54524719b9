"""Labels of a series in DICOM itself: segmentation objects (DICOM-SEG) and contours (RTSTRUCT)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from pivm.datasets.dicom.headers import read_headers, sop_class
from pivm.datasets.dicom.series import LPS_TO_RAS, Series, find_series
from pivm.datasets.mappings import organ_in
from pivm.errors import DataError
from pivm.labels import LabelSet
from pivm.scans.files import short
from pivm.scans.label_maps import LabelMap, Policy, merge_masks
from pivm.scans.nifti import Grid, InMemory

#: segmentation objects that hold one id per pixel
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


@dataclass
class Drawn:
    """What a label object holds of the label set.

    Attributes:
        masks: organ -> bool [columns, rows, slices].
        affine: index of the masks to mm in LPS.
        unused: names of the object that are no organ of the label set.
        notes: what was repaired or left out, one sentence each.
    """

    masks: dict[str, np.ndarray] = field(default_factory=dict)
    affine: np.ndarray = field(default_factory=lambda: np.eye(4))
    unused: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add(self, organ: str, mask: np.ndarray) -> None:
        """Add a mask; parts of one organ are joined."""
        self.masks[organ] = self.masks[organ] | mask if organ in self.masks else mask


@dataclass(frozen=True)
class Names:
    """What the names of a label object mean.

    Attributes:
        mapping: their name -> organ.
        label_set: the organs that are looked for.
    """

    mapping: Mapping[str, str]
    label_set: LabelSet

    def organ(self, name: str) -> str | None:
        """The organ of the label set that a name means, or ``None``."""
        return organ_in(name, self.label_set.names, self.mapping)


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


def require_frame(path: Path, frame: str, series: Series) -> None:
    """Raises DataError where labels were drawn in another frame of reference than that of the CT."""
    if frame != series.frame:
        raise DataError(f"{path}: drawn in another frame of reference ({frame}) than the CT ({series.frame})")
