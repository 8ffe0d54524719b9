"""A CT from labels with a trained generator: what `pivm generate` does, for use from Python."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from pivm.datasets.mappings import MAPPINGS
from pivm.datasets.totalsegmentator import mask_files
from pivm.errors import DataError, nearest
from pivm.generators.model_folder import ModelFolder
from pivm.generators.protocol import Generator
from pivm.labels import LabelSet
from pivm.learning.device import memory_advice
from pivm.scans.label_maps import LabelMap, Policy, merge_masks, relabel
from pivm.scans.nifti import Image, InMemory, Stored, write_volume
from pivm.scans.quality import QualitySettings, check_grid
from pivm.seeds import derived_seed
from pivm.synthesis.source import standard_source
from pivm.synthesis.z_step import warn_of_step

log = logging.getLogger("pivm")
#: grids that a label map may have: any spacing of a CT, axial slices up to this many degrees off the axes
GRID = QualitySettings(spacing_mm=(0.2, 20.0))


@dataclass(frozen=True)
class SyntheticCT:
    """A generated CT on the grid of the labels it was made from, in their axes.

    Attributes:
        hu: int16 [I, J, K], the shape of the labels.
        affine: float [4, 4], voxel index to mm, that of the labels.
        organs: organs of the label map that the generator knows.
    """

    hu: np.ndarray
    affine: np.ndarray
    organs: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write a NIfTI file.

        Raises:
            DataError: the name does not end in .nii or .nii.gz.
        """
        require_nifti_name(path)
        write_volume(self.hu, self.affine, Path(path))


def require_nifti_name(path: Path) -> None:
    """Raises DataError where a file of this name is no NIfTI file."""
    if not str(path).endswith((".nii", ".nii.gz")):
        raise DataError(f"{path}: expected a name that ends in .nii.gz or .nii")


def generate_ct(
    model: str | Path,
    labels: str | Path | np.ndarray,
    ids: str = "model",
    seed: int = 1,
    device: torch.device | str = "cpu",
    *,
    affine: np.ndarray | None = None,
) -> SyntheticCT:
    """Generate a CT on exactly the grid of a label map: its shape, its axes, its affine.

    The patient's outline is estimated from the labels, with margins that were fitted on the training patients. A
    distance of slices that the generator did not learn is named in a warning (:mod:`pivm.synthesis.z_step`).

    Args:
        model: folder of a trained generator.
        labels: whole ids as an array [I, J, K] in any axes; or a NIfTI file that holds all labels; or a folder of masks
            ``<organ>.nii.gz`` (TotalSegmentator's `segmentations`, or the folder above it), whose first mask gives the
            axes.
        ids: what the ids of an array or a single file mean: ``model`` (k = k-th organ of the model) or the name of a
            shipped mapping such as ``totalsegmentator_v2``.
        seed: of the noise.
        device: where the networks run.
        affine: float [4, 4], voxel index to mm (RAS+) of an array of labels; files bring their own.

    Raises:
        StateError: no complete generator.
        DataError: labels that cannot be used.

    For example, with labels in memory::

        ct = pivm.generate_ct("results/phantom/generators/pivm", labels, affine=affine)
        ct.hu.shape == labels.shape
    """
    opened = ModelFolder.open(model)
    label_set, size = LabelSet(opened.organs), opened.trained_on.image_size
    name, stored, label_map = _read(labels, affine, label_set, ids)
    try:
        check_grid(label_map.grid, GRID)
    except DataError as error:
        raise DataError(f"{name}: {error}; resample the labels to axial slices") from None
    present = _organs(label_map.array, label_set, name)
    source = standard_source(name, label_map, None, size, opened.prior)
    with memory_advice("use the CPU (--device cpu)"):
        generator = opened.load(torch.device(device))
    warn_of_step(generator, opened.trained_on.below_mm, name, source.spacing_mm[2])
    with memory_advice(_smaller(generator, Path(model))):
        (slices,) = generator.generate_volumes(
            [source.label_map], [derived_seed(seed, "generate")], [source.spacing_mm]
        )
    hu = np.ascontiguousarray(stored.from_ras(source.plane.restore(slices)))
    return SyntheticCT(hu, stored.affine, present)


def _smaller(generator: Generator, model: Path) -> str:
    """What halves the memory of one volume: its slices go through a network one by one, or several slabs at once."""
    at_once = getattr(getattr(generator.settings, "sampler", None), "batch", 1)
    if at_once > 1:
        return f"set batch in {model / 'sampler.json'} to {at_once // 2} (it is {at_once})"
    return "use the CPU (--device cpu), or labels that are cropped to half as many slices,"


class _Labels(NamedTuple):
    """Labels as they were given, and as the generator knows them.

    Attributes:
        name: for messages.
        stored: the axes and the affine that they came in.
        label_map: on RAS+ axes, in the ids of the model.
    """

    name: str
    stored: Stored
    label_map: LabelMap


def _read(labels: str | Path | np.ndarray, affine: np.ndarray | None, label_set: LabelSet, ids: str) -> _Labels:
    if isinstance(labels, np.ndarray):
        return _read_whole(_in_memory(labels, affine), label_set, ids)
    if affine is not None:
        raise DataError(f"{labels}: a file brings its own affine; give one with an array of labels alone")
    if Path(labels).is_dir():
        return _read_masks(Path(labels), label_set)
    if not Path(labels).exists():
        raise DataError(f"{labels}: no such file or folder")
    return _read_whole(Image(labels), label_set, ids)


def _in_memory(labels: np.ndarray, affine: np.ndarray | None) -> InMemory:
    if affine is None:
        raise DataError("labels: an array needs its affine, voxel index to mm: generate_ct(..., affine=...)")
    if labels.ndim != 3 or labels.dtype.kind not in "uif":
        raise DataError(f"labels: found {labels.dtype} {labels.shape}, expected whole ids in a 3D volume")
    if np.shape(affine) != (4, 4):
        raise DataError(f"labels: the affine has shape {np.shape(affine)}, expected (4, 4)")
    return InMemory("labels", labels, np.asarray(affine, float))


def _read_masks(folder: Path, label_set: LabelSet) -> _Labels:
    inside = folder / "segmentations"
    masks = mask_files(str(inside if inside.is_dir() else folder), label_set.names).places
    if not masks:
        raise DataError(f"{folder}: no mask of any organ of the model ({', '.join(label_set.names)})")
    by_id = {label_set.id_of(organ): path for organ, path in masks.items()}
    return _Labels(str(folder), Image(by_id[min(by_id)]), merge_masks(by_id, None, Policy()))


def _read_whole(image: Image | InMemory, label_set: LabelSet, ids: str) -> _Labels:
    if ids == "model":
        _require_known(image, label_set)
        known = {k: k for k in range(1, len(label_set) + 1)}
    elif ids in MAPPINGS:
        known = {int(i): label_set.id_of(organ) for i, organ in MAPPINGS[ids].items() if organ in label_set.names}
    else:
        raise DataError(f"ids: unknown {ids!r}{nearest(ids, MAPPINGS)}, expected model or {', '.join(MAPPINGS)}")
    return _Labels(image.name, image, relabel(image, known, None, Policy()))


def _require_known(image: Image | InMemory, label_set: LabelSet) -> None:
    """An id above those of the model means another numbering, and so other organs."""
    largest = 0
    for _, slab in image.slabs():
        if not np.isfinite(slab).all():
            raise DataError(f"{image.name}: label values are NaN or infinite, expected whole ids")
        largest = max(largest, int(slab.max()))
    if largest > len(label_set):
        raise DataError(
            f"{image.name}: label {largest} is outside the label set of the model (1 to {len(label_set)}); "
            f"say what the ids mean, one of: {', '.join(MAPPINGS)}"
        )


def _organs(labels: np.ndarray, label_set: LabelSet, name: str) -> tuple[str, ...]:
    present = np.bincount(labels.ravel("K"), minlength=len(label_set) + 1)[1:] > 0
    if not present.any():
        raise DataError(f"{name}: holds none of the organs of the model ({', '.join(label_set.names)})")
    lacking = [organ for organ, there in zip(label_set.names, present, strict=True) if not there]
    if lacking:
        log.warning("not in the labels, and so unlabelled tissue: %s", ", ".join(lacking))
    return tuple(organ for organ, there in zip(label_set.names, present, strict=True) if there)
