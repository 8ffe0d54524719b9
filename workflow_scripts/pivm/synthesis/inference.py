"""A CT from labels with a trained generator: what `pivm generate` does, for use from Python."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pivm import __version__
from pivm.errors import DataError
from pivm.generators.model_folder import ModelFolder
from pivm.generators.protocol import Generator, LowPrecision
from pivm.generators.slicewise import SliceWise
from pivm.labels import LabelSet
from pivm.learning.device import memory_advice, sampling_precision
from pivm.learning.model_files import model_hash
from pivm.scans.label_maps import voxels_per_slice
from pivm.scans.quality import QualitySettings, check_grid
from pivm.seeds import derived_seed
from pivm.synthesis.given_labels import GivenLabels, read_body, read_given
from pivm.synthesis.marks import write_synthetic_ct
from pivm.synthesis.organ_hu import ask_for
from pivm.synthesis.region import require_trained, trained_organs
from pivm.synthesis.source import LabelSource, Surroundings, standard_source
from pivm.synthesis.z_step import warn_of_step

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


class Anatomy(NamedTuple):
    """Labels that a generator can make a CT of.

    Attributes:
        given: as they came in, in the slices that are wanted.
        source: as the generator wants them.
        organs: of the generator, that they hold.
        untrained: axial slices whose like the generator was not trained on.
        whole: as they came in, in all slices.
    """

    given: GivenLabels
    source: LabelSource
    organs: tuple[str, ...]
    untrained: int
    whole: GivenLabels


class CTGenerator:
    """A trained generator, opened once for many label maps.

    Args:
        model: its folder.
        device: where the networks run.
        precision: ``auto`` or ``fp32`` (:func:`pivm.learning.device.sampling_precision`).

    Raises:
        StateError: no complete generator.
    """

    def __init__(self, model: str | Path, device: torch.device | str = "cpu", precision: str = "auto"):
        self.opened = ModelFolder.open(model)
        self.label_set = LabelSet(self.opened.organs)
        with memory_advice("use the CPU (--device cpu)"):
            self.generator = self.opened.load(torch.device(device))
        #: of its network
        self.precision = "fp32"
        if isinstance(self.generator, LowPrecision):
            self.precision = sampling_precision(precision, torch.device(device))
            if self.precision == "bf16":
                self.generator.sample_in_bf16()
        self.model = model_hash(self.opened.folder)
        #: organ means that were asked for, as they are told in the facts of a CT
        self.asked_for: dict[str, Any] = {}

    def read(
        self,
        labels: str | Path | np.ndarray,
        ids: str | None = None,
        *,
        affine: np.ndarray | None = None,
        body: str | Path | None = None,
        any_region: bool = False,
        window: slice = slice(None),
    ) -> Anatomy:
        """Read labels; see :func:`generate_ct`.

        Raises:
            DataError: they cannot be used.
        """
        given = read_given(labels, affine, self.label_set, ids)
        grid = given.label_map.grid
        try:
            check_grid(grid, GRID)
        except DataError as error:
            raise DataError(f"{given.name}: {error}; resample the labels to axial slices") from None
        size, prior = self.opened.trained_on.image_size, self.opened.prior
        trained = LabelSet(trained_organs(prior))
        per_slice = voxels_per_slice(given.label_map.array)
        never = [organ for organ in self.label_set.names if organ not in trained.names]
        there = [organ for organ in never if per_slice[:, self.label_set.id_of(organ)].any()]
        given = given._replace(not_understood=(*given.not_understood, *there))
        known = per_slice[:, [self.label_set.id_of(organ) for organ in trained.names]]
        _require_slices(window, grid.shape[2], given.name)
        organs, untrained = require_trained(known, grid.spacing, trained, given, any_region, window)
        around = given.around if body is None else Surroundings(None, read_body(body, grid))
        # the outline comes from all slices, whichever are wanted, and from what they show, however the file is called
        shown = hashlib.sha256(given.label_map.array.tobytes()).hexdigest()
        source = standard_source(given.name, given.label_map, None, size, prior, around, shown)
        wanted = given.axial(window)
        return Anatomy(wanted, source.axial(window, wanted.label_map.grid), organs, untrained, given)

    def ask_for(
        self,
        organ_hu: Mapping[str, float],
        like: Path | None,
        like_labels: str | Path | None,
        anatomy: Anatomy,
        ids: str | None = None,
    ) -> None:
        """Let the patients that are made from now on have organ means; see :func:`pivm.synthesis.organ_hu.ask_for`.

        Args:
            organ_hu: organ -> mean HU.
            like: a CT whose means are taken, before those of ``organ_hu``.
            like_labels: labels of this CT; without them those of ``anatomy`` are its own.
            anatomy: that a CT is made of.
            ids: what the ids of ``like_labels`` mean.

        Raises:
            DataError: the generator knows no patients, or CT, labels or organs cannot be used.
        """
        labels = anatomy.whole if like_labels is None else read_given(like_labels, None, self.label_set, ids)
        ask_for(self.generator, self.opened, organ_hu, like, labels)
        self.asked_for = {"organ_hu": dict(organ_hu), "like": None if like is None else like.name}

    def make(self, anatomy: Anatomy, seed: int, advance: Callable[[int], object] | None = None) -> SyntheticCT:
        """A CT of an anatomy.

        Args:
            anatomy: of :meth:`read`.
            seed: of the noise.
            advance: called with the number of slices that were made since it was last called, where the kind of
                generator makes them one after the other.

        Raises:
            PivmError: memory runs out.
        """
        given, source = anatomy.given, anatomy.source
        warn_of_step(self.generator, self.opened.trained_on.below_mm, given.name, source.spacing_mm[2])
        if isinstance(self.generator, SliceWise):
            self.generator.on_slices = advance
        with memory_advice(_smaller(self.generator, self.opened.folder)):
            (slices,) = self.generator.generate_volumes(
                [source.label_map], [derived_seed(seed, "generate")], [source.spacing_mm]
            )
        hu = np.ascontiguousarray(given.stored.from_ras(source.plane.restore(slices)))
        facts = {
            "generator": self.opened.settings.name,
            "model": self.model,
            "seed": seed,
            "precision": self.precision,
            "source": given.name,
            "organs": anatomy.organs,
            "untrained_slices": anatomy.untrained,
            "versions": {name: metadata.version(name) for name in ("torch", "numpy")} | {"pivm": __version__},
        }
        if self.asked_for:
            facts["asked_for"] = self.asked_for
        return SyntheticCT(hu, given.stored.affine, anatomy.organs, given.not_understood, facts)


def generate_ct(
    model: str | Path,
    labels: str | Path | np.ndarray,
    ids: str | None = None,
    seed: int = 1,
    device: torch.device | str = "cpu",
    *,
    affine: np.ndarray | None = None,
    body: str | Path | None = None,
    any_region: bool = False,
    organ_hu: Mapping[str, float] | None = None,
    like: str | Path | None = None,
    like_labels: str | Path | None = None,
    precision: str = "auto",
    window: slice = slice(None),
) -> SyntheticCT:
    """Generate a CT on exactly the grid of a label map: its shape, its axes, its affine.

    The patient's outline is estimated from the labels, with margins of one of the training patients, the same for the
    same labels whatever the seed, and holds all masks or ids, also those that the generator does not know. A distance
    of slices that the generator did not learn is named in a warning (:mod:`pivm.synthesis.z_step`).

    Args:
        model: folder of a trained generator.
        labels: whole ids as an array [I, J, K] in any axes; or a NIfTI file that holds all labels; or a folder of masks
            ``<organ>.nii.gz`` (TotalSegmentator's `segmentations`, or the folder above it), whose first mask gives the
            axes; a mask ``body`` in it is the outline.
        ids: what the ids of an array or a single file mean: ``model`` (k = k-th organ of the model) or the name of a
            shipped mapping such as ``totalsegmentator_v2``. ``None``: of an array those of the model, of a file what
            its header names.
        seed: of the noise.
        device: where the networks run.
        affine: float [4, 4], voxel index to mm (RAS+) of an array of labels; files bring their own.
        body: NIfTI file on the grid of the labels, 0 outside the patient: the outline, which then is not estimated.
        any_region: also where the labels are of a region that the generator was not trained on.
        organ_hu: mean HU of organs by name, for a generator of patients (``diffusion.prior.means: patient``); those of
            the other organs are drawn to go with them.
        like: a CT whose organ means are taken, before those of ``organ_hu``.
        like_labels: labels of that CT; without them ``labels`` are its own.
        precision: ``auto`` computes in bf16 on a CPU that has instructions for it, ``fp32`` in float32 on every one.
        window: the axial slices to make, counted from 0 at the feet whatever the axes; the CT has these alone, where
            they lie. It is another CT than the same slices of a whole one.

    Raises:
        StateError: no complete generator.
        DataError: labels that cannot be used.

    For example, with labels in memory::

        ct = pivm.generate_ct("results/phantom/generators/pivm/seed_1", labels, affine=affine)
        ct.hu.shape == labels.shape
    """
    generator = CTGenerator(model, device, precision)
    anatomy = generator.read(labels, ids, affine=affine, body=body, any_region=any_region, window=window)
    if organ_hu or like:
        generator.ask_for(organ_hu or {}, None if like is None else Path(like), like_labels, anatomy, ids)
    return generator.make(anatomy, seed)


def _require_slices(window: slice, slices: int, name: str) -> None:
    """Raises DataError where a window is empty or reaches beyond the slices that there are."""
    first, stop = window.start or 0, slices if window.stop is None else window.stop
    if not first < stop <= slices:
        raise DataError(
            f"{name}: found the window {first}:{stop}, expected one inside 0:{slices}, as the labels have {slices} "
            "axial slices; they are counted from 0 at the feet, and the last number is the first that is left out"
        )


def _smaller(generator: Generator, model: Path) -> str:
    """What halves the memory of one volume: its slices go through a network one by one, or several slabs at once."""
    at_once = getattr(getattr(generator.settings, "sampler", None), "batch", 1)
    if at_once > 1:
        return f"set batch in {model / 'sampler.json'} to {at_once // 2} (it is {at_once})"
    return "use the CPU (--device cpu), or labels that are cropped to half as many slices,"
