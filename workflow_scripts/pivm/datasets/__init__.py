"""Data sets: one adapter per layout lists the subjects and reads their CT and labels.

An adapter is a module with ``list_subjects(settings) -> Listing``; what it finds are plain :class:`Subject` values,
which the jobs hand to :func:`read_ct` and :func:`read_labels`. The phantom is a folder in TotalSegmentator's layout
that the workflow makes itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pivm.datasets.listing import Listing, Subject
from pivm.errors import ConfigError
from pivm.labels import LabelSet
from pivm.scans.label_maps import LabelMap, Policy
from pivm.scans.nifti import Grid, Volume
from pivm.scans.nifti import read_ct as read_nifti
from pivm.scans.quality import PADDING_HU


def adapter(layout: str) -> ModuleType:
    """The module that reads a layout, imported only where it is used: DICOM libraries take a while."""
    if layout == "dicom":
        from pivm.datasets import dicom as module
    elif layout == "nnunet":
        from pivm.datasets import nnunet as module
    else:
        from pivm.datasets import totalsegmentator as module
    return module


@dataclass(frozen=True)
class Dataset:
    """One entry of ``datasets`` in the config."""

    name: str
    settings: dict

    @property
    def roots(self) -> list[str]:
        """Its folders or archives, ``~`` expanded."""
        path = self.settings["path"]
        return [os.path.expanduser(one) for one in ([path] if isinstance(path, str) else path)]

    @property
    def is_phantom(self) -> bool:
        """Whether the workflow makes its scans itself."""
        return self.settings["layout"] == "phantom"

    def to_fetch(self) -> Path | None:
        """The archive that ``download`` names, where it is not there yet.

        Raises:
            ConfigError: ``path`` is not one zip.
        """
        if "download" not in self.settings or all(os.path.exists(root) for root in self.roots):
            return None
        if len(self.roots) > 1 or not self.roots[0].endswith(".zip"):
            raise ConfigError(
                f"datasets.{self.name}.path",
                f"found {', '.join(self.roots)}, which is not there; `download` wants one name that ends in .zip",
            )
        return Path(self.roots[0])

    def listing(self) -> Listing:
        """The subjects of this data set. A phantom's are known from the config before they exist.

        Raises:
            DataError: no such folder, no subject, or two subjects of one name.
        """
        if not self.is_phantom:
            settings, mapping = self.settings, self.settings.get("mapping")
            if isinstance(mapping, dict):  # YAML reads the id 7 as a number
                settings = {**settings, "mapping": {str(theirs): ours for theirs, ours in mapping.items()}}
            return adapter(settings["layout"]).list_subjects(self.roots, settings)
        listing = Listing()
        for i in range(self.settings["patients"]):
            folder = Path(self.roots[0]) / f"phantom_{i:04d}"
            listing.add(folder.name, str(folder), adapter("phantom").subject(folder, "ct.nii.gz"))
        return listing


def read_ct(subject: Subject) -> Volume:
    """The CT of a subject: int16 HU in RAS+ orientation.

    Raises:
        DataError: it cannot be used; the message says why.
    """
    if subject.layout == "dicom":
        return adapter(subject.layout).read_ct(subject, PADDING_HU)
    return read_nifti(subject.ct, PADDING_HU)


def read_labels(subject: Subject, label_set: LabelSet, grid: Grid | None, policy: Policy) -> LabelMap:
    """The labels of a subject.

    Args:
        grid: that of its CT; ``None`` for labels without CT, which then bring their own.

    Raises:
        DataError: they cannot be used; the message says why.
    """
    return adapter(subject.layout).read_labels(subject, label_set, grid, policy)
