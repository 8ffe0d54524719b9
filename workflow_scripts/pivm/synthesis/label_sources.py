"""Where the label maps of synthetic slices come from: training patients, or subjects whose labels alone serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pivm.cohort.organ_means import train_margins
from pivm.cohort.record import SubjectRecord
from pivm.cohort.split import LABELS_ONLY, WITHOUT_CT
from pivm.cohort.store import Arrays, LabelStore, SliceStore
from pivm.errors import CohortError
from pivm.scans.outline import outline_from_labels
from pivm.synthesis.source import outline_seed


class Chosen(NamedTuple):
    """Label maps of one source that are synthesised.

    Attributes:
        source: config key below ``synthesis.sources``.
        store: that holds them.
        rows: of the store, one for each synthetic slice.
    """

    source: str
    store: LabelStore
    rows: np.ndarray

    def provenance(self) -> pd.DataFrame:
        """Source, subject, transform and place of each label map: columns of ``index.csv`` of synthetic slices."""
        index = self.store.index.iloc[self.rows]
        subject = index["subject"].to_numpy()
        source_subject = index["source_subject"].to_numpy() if "source_subject" in index else subject
        return pd.DataFrame(
            {
                "source": self.source,
                "source_subject": source_subject,
                # the virtual patient that it became, where it is not the subject's own label map
                "transform": np.where(subject == source_subject, "", subject),
                "source_row": self.rows,
                "source_z": index["z"].to_numpy(),
            }
        )


def slices_by_source(slices: int | str, shares: Mapping[str, float | str], there: Mapping[str, int]) -> dict[str, int]:
    """How many synthetic slices are made from the label maps of each source.

    Args:
        slices: config key ``synthesis.slices``.
        shares: config section ``synthesis.sources``, or a part of it.
        there: source -> label maps of it; ``train`` is needed.

    >>> slices_by_source("auto", {"train": 1, "labels_only": "auto"}, {"train": 120, "labels_only": 240})
    {'labels_only': 240}
    >>> slices_by_source("auto", {"train": 1, "labels_only": "auto"}, {"train": 120, "labels_only": 50})
    {'labels_only': 50, 'train': 70}
    """
    auto, others = shares.get(LABELS_ONLY) == "auto", there.get(LABELS_ONLY, 0)
    count = slices if isinstance(slices, int) else there["train"]
    if auto and slices == "auto":
        count = max(count, others)
    first = {LABELS_ONLY: min(others, count)} if auto and others else {}
    fixed = {source: float(share) for source, share in shares.items() if share != "auto"}
    wanted = first | apportion(count - sum(first.values()), fixed)
    return {source: number for source, number in wanted.items() if number}


def no_label_maps() -> CohortError:
    """What is said where label maps without CT are asked for, and there are none."""
    return CohortError(
        "label maps without CT are asked for (synthesis.sources, or an arm of the evidence), but no subject has "
        "labels alone; add some, of other persons than those of val and test, or lower split.annotated"
    )


def apportion(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Split a number of slices by shares; they sum up to it, the largest remainders are rounded up.

    >>> apportion(10, {"train": 1, "labels_only": 2})
    {'train': 3, 'labels_only': 7}
    """
    wanted = {name: count * share / sum(shares.values()) for name, share in shares.items() if share}
    whole = {name: int(exact) for name, exact in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: whole[name] - wanted[name])
    for name in by_remainder[: count - sum(whole.values())]:
        whole[name] += 1
    return whole


def labels_alone(
    store: SliceStore, split: pd.DataFrame, subjects: Mapping[str, Path], required: bool
) -> Iterator[tuple[pd.DataFrame, Arrays]]:
    """The label maps of all subjects whose labels alone serve, each with an outline that is estimated from them.

    Outlines lie as far from the organs as those of the training patients, and differ as theirs do: were all alike, a
    segmenter could learn where organs are from the skin. Of a subject with a CT that is not used, nothing but the
    labels is taken either.

    Args:
        store: of the subjects with a CT, under the same split.
        split: as :func:`pivm.cohort.split.split_table` reads it.
        subjects: name -> folder of what preparation wrote.
        required: there must be one.

    Yields:
        Rows and arrays of a subject, for :meth:`pivm.cohort.store.LabelStore.write`; without any, those of no slice.

    Raises:
        CohortError: one is required, and there is none.
    """
    chosen = split[split["split"] == LABELS_ONLY]
    if not len(chosen):
        if required:
            raise no_label_maps()
        yield store.index.iloc[:0], {"labels": np.asarray(store.labels[:0]), "body": np.asarray(store.body[:0])}
        return
    margins = train_margins(store)
    for subject in chosen.itertuples():
        if subject.source == WITHOUT_CT:
            rows, labels = _prepared(subject, subjects[subject.subject])
        else:
            rows, labels = _stored(store, subject.subject)
        pixel_mm = float(rows["pixel_mm"].iloc[0])
        margins_mm = margins.draw(labels, pixel_mm, outline_seed(subject.subject))
        body = outline_from_labels(labels, pixel_mm, margins_mm)
        yield rows, {"labels": labels, "body": body}


def _stored(store: SliceStore, subject: str) -> tuple[pd.DataFrame, np.ndarray]:
    mine = np.flatnonzero(store.index["subject"].to_numpy() == subject)
    rows = store.index.iloc[mine].copy()
    rows["previous"] = np.where(rows["previous"] < 0, -1, rows["previous"] - mine[0])
    return rows, np.asarray(store.labels[mine])


def _prepared(subject, folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    rows, record = pd.read_csv(folder / "rows.csv"), SubjectRecord.load(folder / "record.json")
    return record.indexed(rows, subject.patient, subject.split), np.load(folder / "labels.npy", allow_pickle=False)
