"""From training patients to a store of virtual ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from pivm.cohort.store import Arrays, SliceStore
from pivm.datasets import read_labelled_ct
from pivm.datasets.listing import Subject
from pivm.labels import LabelSet
from pivm.scans.inplane import AIR_HU, InPlane
from pivm.scans.label_maps import Policy
from pivm.scans.outline import outline
from pivm.seeds import derived_seed
from pivm.synthesis.settings import AnatomySettings
from pivm.synthesis.virtual.patients import Stack, virtual_patient
from pivm.synthesis.virtual.spread import AnatomySpread

#: beginnings of the names of bones
BONES = ("vertebrae_", "hip_", "sacrum")
#: patients that a spread is fitted on, at most
SPREAD_PATIENTS = 60


def bones_of(label_set: LabelSet) -> list[int]:
    """Ids of the bones."""
    return [k for k, name in enumerate(label_set.names, start=1) if name.startswith(BONES)]


def read_stack(subject: Subject, label_set: LabelSet, size: int, policy: Policy, padding: str) -> Stack:
    """All axial slices of a patient with a CT, in standard form.

    Args:
        subject: where it lies.
        label_set: of the run.
        size: pixels per side of a slice.
        policy: for voxels and grids that do not agree.
        padding: config key ``quality.padding``, as at preparation.

    Raises:
        DataError: CT or labels cannot be used.
    """
    volume, read = read_labelled_ct(subject, label_set, policy, padding)
    plane = InPlane(volume.hu.shape[:2], volume.spacing[:2], size)
    hu = plane.standardise(volume.hu, AIR_HU, smooth=True)
    labels = plane.standardise(read.array, 0, smooth=False)
    spacing_mm = (volume.spacing[2], plane.pixel_mm, plane.pixel_mm)
    return Stack(labels, outline(hu, labels, plane.pixel_mm), hu, spacing_mm)


def spread_subjects(subjects: Sequence[str]) -> list[str]:
    """Those that a spread is fitted on: at most :data:`SPREAD_PATIENTS`, evenly chosen."""
    chosen = np.unique(np.linspace(0, len(subjects) - 1, min(len(subjects), SPREAD_PATIENTS)).round().astype(int))
    return [str(subjects[i]) for i in chosen]


def virtual_patients(
    store: SliceStore,
    read: Callable[[str], Stack],
    bones: Sequence[int],
    settings: AnatomySettings,
    spread: AnatomySpread,
    slices: int,
    seed: int,
    transforms: dict[str, str],
) -> Iterator[tuple[pd.DataFrame, Arrays]]:
    """Virtual patients, one of each training scan before any has a second, until there are so many slices.

    The slices of a virtual patient are those that were chosen from its scan.

    Args:
        store: under the split of the training.
        read: reads a training scan.
        bones: ids of bones.
        settings: config section ``synthesis.augmented``.
        spread: between the training patients.
        slices: in all, at least.
        seed: of all of them.
        transforms: receives by name what was drawn (:meth:`pivm.synthesis.virtual.patients.VirtualPatient.described`).

    Yields:
        Rows and arrays of each, for :meth:`pivm.cohort.store.SliceStore.write`; ``subject`` is the virtual patient and
        ``source_subject`` the scan.
    """
    targets = store.index.iloc[store.rows("train")]
    scans = dict(iter(targets.groupby("subject")))
    order = np.random.default_rng(seed).permutation(sorted(scans))
    number, done = 0, 0
    while done < slices:
        name = str(order[number % len(order)])
        virtual = f"{name}_v{number // len(order) + 1}"
        rows = scans[name].assign(source_subject=name, subject=virtual, previous=-1)
        one = virtual_patient(read(name), bones, settings, spread, derived_seed(seed, "virtual", number), name)
        transforms[virtual] = one.described()
        z = rows["z"].to_numpy()
        arrays = {name: stack[z] for name, stack in vars(one.stack).items() if name in SliceStore.ARRAYS}
        yield rows, arrays
        number, done = number + 1, done + len(rows)
