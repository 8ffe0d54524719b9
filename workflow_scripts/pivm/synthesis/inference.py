"""A CT from labels with a trained generator: what `pivm generate` does, for use from Python."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pivm.datasets.listing import Subject
from pivm.datasets.mappings import MAPPINGS
from pivm.errors import DataError, nearest
from pivm.generators.registry import load_generator, read_facts_and_prior
from pivm.labels import LabelSet
from pivm.learning.device import memory_advice
from pivm.scans.label_maps import Policy
from pivm.scans.nifti import Image, write_volume
from pivm.scans.quality import check_grid
from pivm.seeds import derived_seed
from pivm.synthesis.volumes import Source, read_source

log = logging.getLogger("pivm")
#: grids that a label map may have: any spacing of a CT, axial slices up to this many degrees off the axes
GRID = {"spacing_mm": (0.2, 20.0), "max_oblique_degrees": 30.0}


@dataclass(frozen=True)
class SyntheticCT:
    """A generated CT.

    Attributes:
        hu: int16 [R, A, S] in RAS+ orientation.
        affine: float [4, 4], voxel index to mm.
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
    model: Path, labels: Path, ids: str = "model", seed: int = 1, device: torch.device | str = "cpu"
) -> SyntheticCT:
    """Generate a CT on the grid of a label map.

    The patient's outline is estimated from the labels, with margins that were fitted on the training patients.

    Args:
        model: folder of a trained generator.
        labels: a NIfTI file that holds all labels, or a folder of masks ``<organ>.nii.gz`` (TotalSegmentator's
            `segmentations`, or the folder above it).
        ids: what the ids of a single file mean: ``model`` (k = k-th organ of the model) or the name of a shipped
            mapping such as ``totalsegmentator_v2``.
        seed: of the noise.

    Raises:
        StateError: no complete generator; DataError: labels that cannot be used.
    """
    facts, prior = read_facts_and_prior(model)
    label_set = LabelSet(tuple(facts["organs"]))
    subject = _subject(Path(labels), label_set, ids)
    source = read_source(Path(labels).name, subject, label_set, facts["image_size"], Policy(), "air", prior)
    try:
        check_grid(source.grid, GRID)
    except DataError as error:
        raise DataError(f"{labels}: {error}; resample the labels to axial slices") from None
    present = _organs(source, label_set, Path(labels))
    with memory_advice("use the CPU (--device cpu)"):
        generator = load_generator(model, torch.device(device))
    with memory_advice(_smaller(generator, Path(model))):
        (hu,) = generator.generate_volumes([source.label_map], [derived_seed(seed, "generate")], [source.spacing])
    return SyntheticCT(source.plane.restore(hu), source.grid.affine, present)


def _smaller(generator, model: Path) -> str:
    """What halves the memory of one volume: its slices go through a network one by one, or several slabs at once."""
    at_once = generator.settings["sampler"].get("batch", 1)
    if at_once > 1:
        return f"set batch in {model / 'sampler.json'} to {at_once // 2} (it is {at_once})"
    return "use the CPU (--device cpu), or labels that are cropped to half as many slices,"


def _subject(labels: Path, label_set: LabelSet, ids: str) -> Subject:
    if labels.is_dir():
        inside = labels / "segmentations"
        return Subject("totalsegmentator", labels=str(inside if inside.is_dir() else labels))
    if not labels.exists():
        raise DataError(f"{labels}: no such file or folder")
    if ids != "model" and ids not in MAPPINGS:
        raise DataError(f"ids: unknown {ids!r}{nearest(ids, MAPPINGS)}, expected model or {', '.join(MAPPINGS)}")
    if ids == "model":
        _require_known(labels, label_set)
    own = {str(k): name for k, name in enumerate(label_set.names, start=1)}
    return Subject("nnunet", labels=str(labels), ids=own if ids == "model" else MAPPINGS[ids])


def _require_known(labels: Path, label_set: LabelSet) -> None:
    """An id above those of the model means another numbering, and so other organs."""
    largest = 0
    for _, slab in Image(str(labels)).slabs():
        if not np.isfinite(slab).all():
            raise DataError(f"{labels}: label values are NaN or infinite, expected whole ids")
        largest = max(largest, int(slab.max()))
    if largest > len(label_set):
        raise DataError(
            f"{labels}: label {largest} is outside the label set of the model (1 to {len(label_set)}); "
            f"say what the ids mean, one of: {', '.join(MAPPINGS)}"
        )


def _organs(source: Source, label_set: LabelSet, labels: Path) -> tuple[str, ...]:
    present = np.bincount(source.labels.ravel("K"), minlength=len(label_set) + 1)[1:] > 0
    if not present.any():
        raise DataError(f"{labels}: holds none of the organs of the model ({', '.join(label_set.names)})")
    lacking = [name for name, there in zip(label_set.names, present, strict=True) if not there]
    if lacking:
        log.warning("not in the labels, and so unlabelled tissue: %s", ", ".join(lacking))
    return tuple(name for name, there in zip(label_set.names, present, strict=True) if there)
