"""`pivm check`: which scans the workflow would use and why not the others, before anything is trained."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pivm.cli.command import DONE, EXIT_HELP, FAILED, Command, print_json, require
from pivm.errors import DataError, PivmError

if TYPE_CHECKING:
    import pandas as pd

    from pivm.cohort.record import SubjectRecord
    from pivm.datasets import Dataset
    from pivm.datasets.listing import Listing


def _options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXIT_HELP
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="folder or zip of scans, or a data set of the config; else that of the config",
    )
    parser.add_argument(
        "--config", type=Path, nargs="+", default=[], help="files as after --configfile of the workflow"
    )
    parser.add_argument(
        "--layout", help="of a folder or zip: totalsegmentator, nnunet or dicom; else told by what is in it"
    )
    parser.add_argument("--out", type=Path, help="write the table as CSV, as cohort/selection.csv of a run")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def data_entry(config: dict[str, Any], data: str | None, layout: str | None) -> Dataset:
    """The data set that is looked at: a place, an entry of the config by name, or the one that the config runs on.

    Raises:
        PivmError: there is no such place or entry.
    """
    from pivm.datasets import Dataset, check_dataset
    from pivm.labels import LabelSet

    if data is None or (data in config["datasets"] and not os.path.exists(data)):
        name = data or config["dataset"]
        dataset = Dataset(name, config["datasets"][name])
    else:
        if not os.path.exists(data):
            known = ", ".join(config["datasets"])
            raise DataError(f"{data}: no such file or folder, and no data set of the config ({known})")
        entry: dict[str, Any] = {"layout": layout or guess_layout(Path(data)), "path": data}
        dataset = Dataset("data", entry)
        check_dataset("data", entry, LabelSet.from_config(config["labels"]).names)
    if archive := dataset.to_fetch():
        raise DataError(f"{archive}: not there yet; the workflow fetches it, run snakemake first")
    return dataset


def guess_layout(place: Path) -> str:
    """nnU-Net's layout by its dataset.json, TotalSegmentator's by zip or subject folders with NIfTI, else DICOM."""
    if place.is_file():
        return "totalsegmentator"
    if (place / "dataset.json").is_file() or (place / "imagesTr").is_dir():
        return "nnunet"
    inside = [folder for folder in place.iterdir() if folder.is_dir()]
    nifti = any((f / "segmentations").is_dir() or any(f.glob("ct.nii*")) for f in inside)
    return "totalsegmentator" if nifti or not inside else "dicom"


def look_at(config: dict[str, Any], dataset: Dataset, listing: Listing) -> list[SubjectRecord]:
    """What preparation finds in every scan; the same code with the same settings as in the workflow.

    One scan is in memory at a time.
    """
    from pivm.cohort.preparation import prepare_subject
    from pivm.cohort.selection import SelectionSettings
    from pivm.labels import LabelSet
    from pivm.scans.quality import QualitySettings
    from pivm.settings import read_settings

    label_set, size = LabelSet.from_config(config["labels"]), config["image"]["size"]
    selection = read_settings(SelectionSettings, config["selection"], "selection")
    quality = read_settings(QualitySettings, config["quality"], "quality")
    records = []
    with logging_redirect_tqdm():
        for name in tqdm(sorted(listing.subjects), unit="scan", disable=None, file=sys.stderr):
            record, *_ = prepare_subject(name, listing.subjects[name], label_set, size, selection, quality)
            records.append(record)
    return records


def _run(options: argparse.Namespace) -> int:
    require("pandas", "workflow")
    from pivm.cli.config_files import read_config
    from pivm.cohort.selection import label_table, selection_table, unused_names
    from pivm.labels import LabelSet

    config = read_config(options.config)
    dataset = data_entry(config, options.data, options.layout)
    if dataset.layout.rules:
        _require_made(dataset)
    listing = dataset.listing()
    records = look_at(config, dataset, listing)
    table = selection_table(records, listing.refused)
    if options.out:
        table.to_csv(options.out, index=False)
    label_set = LabelSet.from_config(config["labels"])
    labels = label_table(records, label_set, isinstance(config["labels"], list))
    names = unused_names(records, label_set)
    counts = Counter(table["status"])
    if options.json:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        absent = labels.loc[labels["patients"] == 0, "label"].tolist()
        print_json({"layout": dataset.layout.name, "counts": dict(counts), "labels_absent": absent, "scans": rows})
    else:
        _tell(table, labels, names, config)
    return DONE if counts["selected"] else FAILED


def _require_made(dataset: Dataset) -> None:
    if not any(os.path.isdir(root) for root in dataset.roots):
        raise PivmError(
            f"{', '.join(dataset.roots)}: made by the workflow, which has not run yet; name DATA of your own"
        )


def _tell(table: pd.DataFrame, labels: pd.DataFrame, names: pd.DataFrame, config: dict[str, Any]) -> None:
    for row in table.to_dict("records"):
        what = f"{row['slices']} slices" if row["status"] == "selected" else row["reason"]
        print(f"{row['subject']}: {row['status']}: {what}")
        if isinstance(notes := row.get("notes"), str) and notes:  # refused folders have none
            print(f"    {notes}")
    counts = Counter(table["status"])
    persons = table.loc[table["status"] == "selected", "patient"].nunique()
    print(f"\n{counts['selected']} of {len(table)} scans selected, of {persons} persons")
    print(f"{counts['labels only']} with labels alone, {counts['set aside']} set aside")
    if absent := labels.loc[labels["patients"] == 0, "label"].tolist() if counts["selected"] else []:
        print(f"labels that no selected scan holds: {', '.join(absent)}")
    for row in names[names["nearest"] != ""].to_dict("records"):
        if not row["nearest_scans"]:
            print(f"name that means none of the labels: {row['name']} (did you mean {row['nearest']}?)")
    split = config["split"]
    held = sum(n if n >= 1 else round(n * persons) for n in (split["val"], split["test"]))
    if counts["selected"] and held >= persons:
        print(
            f"too few persons for split.val {split['val']} and split.test {split['test']}: no one is left to train on"
        )


COMMAND = Command("check", "say which scans would be used, and why others not", _options, _run)
