"""Mean HU of organs that a person asks for: by name, or those of a real CT."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from pivm.errors import DataError, nearest
from pivm.generators.model_folder import ModelFolder
from pivm.generators.organ_moments import OrganMoments
from pivm.generators.patient_means import PatientMeans
from pivm.generators.protocol import Generator
from pivm.scans.nifti import read_ct
from pivm.scans.quality import clean_padding
from pivm.synthesis.given_labels import GivenLabels
from pivm.synthesis.source import standard_source

log = logging.getLogger("pivm")


class PatientGenerator(Protocol):
    """A generator whose patients have organ means of their own."""

    patients: PatientMeans


def ask_for(
    generator: Generator, model: ModelFolder, organ_hu: Mapping[str, float], like: Path | None, labels: GivenLabels
) -> None:
    """Let the patients of a generator have organ means that are asked for; those of other organs go with them.

    Args:
        generator: of the model; it is changed.
        model: its folder.
        organ_hu: organ -> mean HU.
        like: a CT whose means are taken, before those of ``organ_hu``.
        labels: of this CT.

    Raises:
        DataError: the generator's prior map holds no patient's own means, so that its network has learnt from none; or
            CT, labels or organs cannot be used.
    """
    if not isinstance(getattr(generator, "patients", None), PatientMeans):
        raise DataError(
            f"{model.folder}: organs cannot be given HU, as generator {model.settings.name!r} knows no organ means of "
            "single patients; train one with `diffusion.prior.means: patient` (configs/patient_prior.yaml)"
        )
    asked = cast("PatientGenerator", generator)
    means = means_of_ct(like, labels, model) if like else {}
    asked.patients = asked.patients.given(means | means_by_id(organ_hu, asked.patients, model))


def means_of_ct(ct: Path, labels: GivenLabels, model: ModelFolder) -> dict[int, float]:
    """The organ means of a real CT as a training patient's are taken: clipped, and shrunk by pixels.

    Args:
        ct: NIfTI file in HU.
        labels: of this CT, on its grid.
        model: says what the label map holds.

    Returns:
        id of the label map -> HU, of the labels that the CT holds.

    Raises:
        DataError: the CT cannot be read, or its labels are on another grid.
    """
    volume = read_ct(ct)
    if not volume.grid.same(labels.label_map.grid):
        raise DataError(
            f"{labels.name}: on another grid than {ct} ({labels.label_map.grid.shape} and {volume.grid.shape} voxels, "
            "or another affine); give the labels of that CT with --like-labels"
        )
    clean_padding(volume, "air")
    source = standard_source(str(ct), labels.label_map, volume, model.trained_on.image_size, model.prior)
    assert source.hu is not None
    some = np.zeros(len(source.hu), int)
    moments = OrganMoments.of(source.hu, source.label_map, some, 1, model.prior)
    means = moments.means(model.prior, model.settings.prior.shrink_pixels)[0]
    return {k: float(means[k]) for k in np.flatnonzero(np.isfinite(means)).tolist()}


def means_by_id(organ_hu: Mapping[str, float], patients: PatientMeans, model: ModelFolder) -> dict[int, float]:
    """The mean HU of named organs by their ids; one that no training patient came near is named in a warning.

    Raises:
        DataError: no such organ, or no finite number within the HU of the training data.
    """
    prior, known = model.prior, {}
    low, high = prior.hu_range
    for name, hu in organ_hu.items():
        if name not in prior.names or name in prior.never_seen:
            raise DataError(
                f"organ {name!r}: unknown to the model{nearest(name, prior.names)}; it knows {', '.join(prior.names)}"
            )
        if not math.isfinite(hu) or not low <= hu <= high:
            raise DataError(f"organ {name}: found {hu} HU, expected {low} to {high}, the range of the training data")
        k = prior.names.index(name) + 1
        mean, sd = patients.mean[k], math.hypot(patients.spread[k], *patients.factors[:, k])
        if abs(hu - mean) > 3 * sd:
            log.warning(
                "%s: %g HU is far from the training patients (mean %.0f, standard deviation %.0f), and so is what the "
                "network has learnt",
                name,
                hu,
                mean,
                sd,
            )
        known[k] = float(hu)
    return known
