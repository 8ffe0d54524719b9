"""Labels that a person hands over: an array, a file of ids or a folder of masks, in the ids of a model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pivm.datasets.mappings import MAPPINGS, resolve_ids
from pivm.datasets.totalsegmentator import mask_files
from pivm.errors import DataError, nearest
from pivm.labels import LabelSet
from pivm.scans.label_maps import LabelMap, Policy, mark_mask, merge_masks, relabel
from pivm.scans.label_names import read_label_names
from pivm.scans.nifti import Grid, Image, InMemory, Stored
from pivm.synthesis.source import Surroundings

log = logging.getLogger("pivm")
#: mask of a folder that is the patient's outline itself, as TotalSegmentator's task `body` names it
BODY = "body"


class GivenLabels(NamedTuple):
    """Labels as they were given, and as the generator knows them.

    Attributes:
        name: for messages.
        stored: the axes and the affine that they came in.
        label_map: on RAS+ axes, in the ids of the model.
        not_understood: names and ids that they hold and that are no organ of the model.
        around: what they say of the body beside these organs.
    """

    name: str
    stored: Stored
    label_map: LabelMap
    not_understood: tuple[str, ...]
    around: Surroundings

    def axial(self, window: slice) -> GivenLabels:
        """Some of the axial slices alone, counted from the lowest."""
        stored = self.stored.axial(window)
        label_map = dataclasses.replace(self.label_map, array=self.label_map.array[..., window], grid=stored.grid)
        return self._replace(stored=stored, label_map=label_map)


def read_given(
    labels: str | Path | np.ndarray, affine: np.ndarray | None, label_set: LabelSet, ids: str | None
) -> GivenLabels:
    """Read labels for a model; see :func:`pivm.synthesis.inference.generate_ct`.

    Args:
        labels: array, file or folder.
        affine: of an array.
        label_set: organs of the model.
        ids: what the ids of an array or a file mean.

    Raises:
        DataError: they cannot be used, or nobody says what the ids mean.
    """
    if isinstance(labels, np.ndarray):
        return _whole(_in_memory(labels, affine), label_set, ids or "model")
    if affine is not None:
        raise DataError(f"{labels}: a file brings its own affine; give one with an array of labels alone")
    if Path(labels).is_dir():
        return _masks(Path(labels), label_set)
    if not Path(labels).exists():
        raise DataError(f"{labels}: no such file or folder")
    image = Image(labels)
    image.require_one_place()
    return _named(image, label_set) if ids is None else _whole(image, label_set, ids)


def _in_memory(labels: np.ndarray, affine: np.ndarray | None) -> InMemory:
    if affine is None:
        raise DataError("labels: an array needs its affine, voxel index to mm: generate_ct(..., affine=...)")
    if labels.ndim != 3 or labels.dtype.kind not in "uif":
        raise DataError(f"labels: found {labels.dtype} {labels.shape}, expected whole ids in a 3D volume")
    if np.shape(affine) != (4, 4):
        raise DataError(f"labels: the affine has shape {np.shape(affine)}, expected (4, 4)")
    return InMemory("labels", labels, np.asarray(affine, float))


def _masks(folder: Path, label_set: LabelSet) -> GivenLabels:
    inside = folder / "segmentations"
    masks = mask_files(str(inside if inside.is_dir() else folder), label_set.names)
    if not masks.places:
        found = f"; found {', '.join(sorted(masks.unused))}" if masks.unused else ""
        raise DataError(f"{folder}: no mask of any organ of the model ({', '.join(label_set.names)}){found}")
    by_id = {label_set.id_of(organ): path for organ, path in masks.places.items()}
    first, merged = Image(by_id[min(by_id)]), merge_masks(by_id, None, Policy())
    parts = LabelMap(first.to_ras(np.zeros(first.shape, np.uint8, order="F")), merged.grid)
    for name, place in masks.others.items():
        if name == BODY:
            continue
        try:
            mark_mask(place, parts)
        except DataError as error:
            log.warning("left out of the patient's outline: %s", error)
    body = read_body(masks.others[BODY], merged.grid) if BODY in masks.others else None
    not_understood = tuple(sorted(masks.unused - {BODY}))
    return GivenLabels(str(folder), first, merged, not_understood, Surroundings(parts.array > 0, body))


def read_body(place: str | Path, grid: Grid) -> np.ndarray:
    """The patient's outline from a mask.

    Args:
        place: NIfTI file that holds 0 outside the patient.
        grid: of the labels.

    Returns:
        bool [R, A, S].

    Raises:
        DataError: no mask, an empty one, or one on another grid.
    """
    image = Image(place)
    if not image.grid.same(grid):
        raise DataError(
            f"{place}: found {image.grid.shape} voxels, expected the grid of the labels, {grid.shape}, with the same "
            "affine; resample the outline to it"
        )
    body = LabelMap(image.to_ras(np.zeros(image.shape, np.uint8, order="F")), grid)
    mark_mask(str(place), body)
    if not body.array.any():
        raise DataError(f"{place}: the patient's outline is empty")
    return body.array > 0


def _whole(image: Image | InMemory, label_set: LabelSet, ids: str) -> GivenLabels:
    """Ids by the order of the model or by a shipped mapping."""
    present = _ids_in(image)
    if ids == "model":
        largest = max(present, default=0)
        if largest > len(label_set):
            raise DataError(
                f"{image.name}: label {largest} is outside the label set of the model (1 to {len(label_set)}); "
                f"say what the ids mean, one of: {', '.join(MAPPINGS)}"
            )
        return _by_name(image, label_set, present, dict(enumerate(label_set.names, start=1)))
    if ids not in MAPPINGS:
        raise DataError(f"ids: unknown {ids!r}{nearest(ids, MAPPINGS)}, expected model or {', '.join(MAPPINGS)}")
    return _by_name(image, label_set, present, {int(i): organ for i, organ in MAPPINGS[ids].items()})


def _named(image: Image, label_set: LabelSet) -> GivenLabels:
    """Ids by the names in the header of the file."""
    names, present = read_label_names(image.extensions()), _ids_in(image)
    if not names:
        raise DataError(
            f"{image.name}: its header does not say what its ids ({_some(present)}) mean, and each data set has "
            f"ids of its own; say it with --ids: model (1 is {label_set.names[0]}, as in model.json), "
            f"{', '.join(MAPPINGS)}"
        )
    organs = {int(i): organ for i, organ in resolve_ids(names, None, image.name).items()}
    return _by_name(image, label_set, present, organs, {int(i): " / ".join(known) for i, known in names.items()})


def _by_name(
    image: Image | InMemory,
    label_set: LabelSet,
    present: set[int],
    organs: Mapping[int, str],
    texts: Mapping[int, str] | None = None,
) -> GivenLabels:
    """Labels whose ids have names.

    Args:
        image: the labels.
        label_set: organs of the model.
        present: the ids that occur.
        organs: id -> label name.
        texts: id -> what the file itself calls it, for messages; ``None`` where it has no names of its own.
    """
    texts = texts or organs
    known = {i: label_set.id_of(organ) for i, organ in organs.items() if organ in label_set.names and i < 2**16}
    others = [i for i in sorted(present) if i not in known]
    said = tuple(f"{texts[i]} (id {i})" if i in texts else f"id {i}" for i in others)
    merged, parts = relabel(image, known, None, Policy()), None
    if others:
        parts = relabel(image, dict.fromkeys((i for i in others if 0 < i < 2**16), 1), None, Policy()).array > 0
    return GivenLabels(image.name, image, merged, said, Surroundings(parts))


def _ids_in(image: Image | InMemory) -> set[int]:
    """The ids that occur, without 0; values that are no ids are found by :func:`pivm.scans.label_maps.relabel`."""
    found: set[int] = set()
    for _, slab in image.slabs():
        if slab.dtype == np.uint8:  # counting is many times as fast as sorting
            found.update(np.flatnonzero(np.bincount(slab.ravel("K"))).tolist())
            continue
        if not np.isfinite(slab).all():
            raise DataError(f"{image.name}: label values are NaN or infinite, expected whole ids")
        found.update(int(value) for value in np.unique(np.rint(slab)))
    return found - {0}


def _some(ids: set[int]) -> str:
    ordered = sorted(ids)
    return ", ".join(map(str, ordered if len(ordered) <= 8 else [*ordered[:7], "...", ordered[-1]])) or "none"
