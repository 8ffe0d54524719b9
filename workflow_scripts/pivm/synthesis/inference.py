"""A CT from labels with a trained generator: what `pivm generate` does, for use from Python."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pivm import __version__
from pivm.errors import DataError
from pivm.generators.model_folder import ModelFolder
from pivm.generators.protocol import Generator
from pivm.labels import LabelSet
from pivm.learning.device import memory_advice
from pivm.learning.model_files import model_hash
from pivm.scans.quality import QualitySettings, check_grid
from pivm.seeds import derived_seed
from pivm.synthesis.given_labels import GivenLabels, read_given
from pivm.synthesis.marks import write_synthetic_ct
from pivm.synthesis.organ_hu import ask_for
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
        not_understood: names and ids in the labels that are none of them, and so unlabelled tissue.
        facts: how it was made (:mod:`pivm.synthesis.marks`).
    """

    hu: np.ndarray
    affine: np.ndarray
    organs: tuple[str, ...]
    not_understood: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write a NIfTI file that says it is synthetic, and beside it a JSON file that says how it was made.

        Raises:
            DataError: the name does not end in .nii or .nii.gz.
        """
        require_nifti_name(path)
        write_synthetic_ct(self.hu, self.affine, Path(path), {**self.facts, "command": shlex.join(sys.argv)})


def require_nifti_name(path: Path) -> None:
    """Raises DataError where a file of this name is no NIfTI file."""
    if not str(path).endswith((".nii", ".nii.gz")):
        raise DataError(f"{path}: expected a name that ends in .nii.gz or .nii")


def generate_ct(
    model: str | Path,
    labels: str | Path | np.ndarray,
    ids: str | None = None,
    seed: int = 1,
    device: torch.device | str = "cpu",
    *,
    affine: np.ndarray | None = None,
    organ_hu: Mapping[str, float] | None = None,
    like: str | Path | None = None,
    like_labels: str | Path | None = None,
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
            shipped mapping such as ``totalsegmentator_v2``. ``None``: of an array those of the model, of a file what
            its header names.
        seed: of the noise.
        device: where the networks run.
        affine: float [4, 4], voxel index to mm (RAS+) of an array of labels; files bring their own.
        organ_hu: mean HU of organs by name, for a generator of patients (``diffusion.prior.means: patient``); those of
            the other organs are drawn to go with them.
        like: a CT whose organ means are taken, before those of ``organ_hu``.
        like_labels: labels of that CT; without them ``labels`` are its own.

    Raises:
        StateError: no complete generator.
        DataError: labels that cannot be used.

    For example, with labels in memory::

        ct = pivm.generate_ct("results/phantom/generators/pivm/seed_1", labels, affine=affine)
        ct.hu.shape == labels.shape
    """
    opened = ModelFolder.open(model)
    label_set, size = LabelSet(opened.organs), opened.trained_on.image_size
    given = read_given(labels, affine, label_set, ids)
    _require_axial(given)
    present = _organs(given.label_map.array, label_set, given)
    source = standard_source(given.name, given.label_map, None, size, opened.prior)
    with memory_advice("use the CPU (--device cpu)"):
        generator = opened.load(torch.device(device))
    if organ_hu or like:
        its_labels = given if like_labels is None else read_given(like_labels, None, label_set, ids)
        ask_for(generator, opened, organ_hu or {}, Path(like) if like else None, its_labels)
    warn_of_step(generator, opened.trained_on.below_mm, given.name, source.spacing_mm[2])
    with memory_advice(_smaller(generator, Path(model))):
        (slices,) = generator.generate_volumes(
            [source.label_map], [derived_seed(seed, "generate")], [source.spacing_mm]
        )
    hu = np.ascontiguousarray(given.stored.from_ras(source.plane.restore(slices)))
    facts = _facts(opened, given, present, seed)
    if organ_hu or like:
        facts["asked_for"] = {"organ_hu": dict(organ_hu or {}), "like": None if like is None else Path(like).name}
    return SyntheticCT(hu, given.stored.affine, present, given.not_understood, facts)


def _facts(model: ModelFolder, given: GivenLabels, organs: tuple[str, ...], seed: int) -> dict[str, Any]:
    """How a CT was made (:mod:`pivm.synthesis.marks`)."""
    return {
        "generator": model.settings.name,
        "model": model_hash(model.folder),
        "seed": seed,
        "source": given.name,
        "organs": organs,
        "versions": {name: metadata.version(name) for name in ("torch", "numpy")} | {"pivm": __version__},
    }


def _require_axial(given: GivenLabels) -> None:
    try:
        check_grid(given.label_map.grid, GRID)
    except DataError as error:
        raise DataError(f"{given.name}: {error}; resample the labels to axial slices") from None


def _smaller(generator: Generator, model: Path) -> str:
    """What halves the memory of one volume: its slices go through a network one by one, or several slabs at once."""
    at_once = getattr(getattr(generator.settings, "sampler", None), "batch", 1)
    if at_once > 1:
        return f"set batch in {model / 'sampler.json'} to {at_once // 2} (it is {at_once})"
    return "use the CPU (--device cpu), or labels that are cropped to half as many slices,"


def _organs(labels: np.ndarray, label_set: LabelSet, given: GivenLabels) -> tuple[str, ...]:
    present = np.bincount(labels.ravel("K"), minlength=len(label_set) + 1)[1:] > 0
    if not present.any():
        found = f"; found {', '.join(given.not_understood)}" if given.not_understood else ""
        raise DataError(f"{given.name}: holds none of the organs of the model ({', '.join(label_set.names)}){found}")
    lacking = [organ for organ, there in zip(label_set.names, present, strict=True) if not there]
    if lacking:
        log.warning("not in the labels, and so unlabelled tissue: %s", ", ".join(lacking))
    return tuple(organ for organ, there in zip(label_set.names, present, strict=True) if there)
