"""The config beside the data set it names: what no scan has, and what no scan could pass, is known from names."""

from __future__ import annotations

import os
from typing import Any

from pivm.cohort.split import patients_wanted
from pivm.datasets import Dataset
from pivm.datasets.listing import Listing, printable
from pivm.errors import ConfigError, nearest
from pivm.labels import ORGANS_34, LabelSet

_SHOWN = 8
#: subjects whose names are looked up inside their files
_FEW = 8


def check_data(config: dict[str, Any], dataset: Dataset, listing: Listing) -> None:
    """Check a valid config against the subjects of its data set.

    Args:
        config: as merged from all files.
        dataset: the one it names.
        listing: its subjects.

    Raises:
        ConfigError: labels, organs, patients of a split or a file that are not there.
    """
    _check_names(config, dataset, listing)
    _check_split(config, listing)
    wanted = config["synthesis"]
    if wanted["volumes"] and wanted["volumes_from"] == "labels_only" and not has_label_maps(config, listing):
        raise ConfigError(
            "synthesis.volumes_from",
            f"found labels_only, but every CT of {dataset.name} is used; set it to train, or volumes to 0",
        )
    weights = config["tables"]["extractor"]["weights"]
    if weights and not os.path.isfile(os.path.expanduser(weights)):
        raise ConfigError("tables.extractor.weights", f"{weights}: no such file")


def settle(config: dict[str, Any], dataset: Dataset, listing: Listing) -> None:
    """Replace ``auto`` by what the data set says, in place.

    It stands for the annotated patients, and for whether label maps without CT are a source of synthetic slices.

    Args:
        config: valid, as merged from all files.
        dataset: the one it names.
        listing: its subjects.
    """
    split, sources = config["split"], config["synthesis"]["sources"]
    if split["annotated"] == "auto":
        split["annotated"] = getattr(dataset.settings, "annotated", "all")
    if sources["labels_only"] == "auto" and not has_label_maps(config, listing):
        sources["labels_only"] = 0.0


def has_label_maps(config: dict[str, Any], listing: Listing) -> bool:
    """Whether there are patients whose labels alone serve."""
    return config["split"]["annotated"] != "all" or has_subjects_without_ct(listing)


def has_subjects_without_ct(listing: Listing) -> bool:
    """Whether there are subjects with labels and no CT."""
    return any(not subject.ct for subject in listing.subjects.values())


def _check_names(config: dict[str, Any], dataset: Dataset, listing: Listing) -> None:
    """Subjects are looked at until nothing is missing: one, where its labels are complete.

    Of names that stand inside files, the first few subjects are proof only of a data set that means something else.
    """
    labels, selection = LabelSet.from_config(config["labels"]).names, config["selection"]
    own = set(labels) - set(ORGANS_34)
    found: set[str] = set()
    others: set[str] = set()
    looked_into, unknown = 0, False
    for subject in listing.subjects.values():
        names = dataset.layout.label_names(subject, labels) if looked_into < _FEW else None
        if names is None:
            unknown = True
            continue
        looked_into += names.in_files
        found |= names.organs
        others |= names.others
        organs = len(found & set(selection["organs"]))
        if own <= found and organs >= selection["min_organs"] and len(found) >= selection["min_labels_per_slice"]:
            return
    if unknown and (found or looked_into < _FEW):
        return
    _refuse_names(config, dataset, found, others, own)


def _refuse_names(config: dict[str, Any], dataset: Dataset, found: set[str], others: set[str], own: set[str]) -> None:
    """Say what is missing among the names that were found."""
    selection = config["selection"]
    shown = ", ".join(printable(name) for name in sorted(others)[:_SHOWN]) or "none"
    there = f"names in {dataset.name} that are no label of the run: {shown}{', ...' if len(others) > _SHOWN else ''}"
    if not found:
        raise ConfigError(
            "labels", f"no scan of {dataset.name} has any of them; {there}; set datasets.{dataset.name}.mapping"
        )
    if unknown := sorted(own - found):
        hint = nearest(unknown[0], [*ORGANS_34, *others])
        raise ConfigError(
            "labels", f"unknown {unknown[0]!r}{hint}: it is none of the 34 organs, and no scan has it; {there}"
        )
    organs = sorted(found & set(selection["organs"]))
    if len(organs) < selection["min_organs"]:
        raise ConfigError(
            "selection.min_organs",
            f"found {selection['min_organs']}, but of selection.organs the scans of {dataset.name} have "
            f"{', '.join(organs) or 'none'}; {there}",
        )
    fewest = selection["min_labels_per_slice"]
    raise ConfigError(
        "selection.min_labels_per_slice",
        f"found {fewest}, but the scans of {dataset.name} have {len(found)} labels of the run",
    )


def _check_split(config: dict[str, Any], listing: Listing) -> None:
    """Before any scan is set aside; the split itself counts those that are left."""
    split, patients = config["split"], sum(bool(subject.ct) for subject in listing.subjects.values())
    if split["source"] == "dataset" and not (listing.split or listing.files):
        raise ConfigError("split.source", "found dataset, but the data set has no split of its own; set it to random")
    if split["source"] != "random" and (listing.split or listing.files):
        return
    wanted = {part: patients_wanted(split[part], patients) for part in ("test", "val")}
    if sum(wanted.values()) >= patients:
        raise ConfigError(
            "split.test",
            f"{wanted['test']} for test, {wanted['val']} for val and at least 1 for training, but the data set has "
            f"{patients} patients; lower split.test and split.val, or add patients",
        )
