"""What preparation found in one scan."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd


@dataclass
class SubjectRecord:
    """What preparation found in one scan; one row of the selection table.

    Attributes:
        patient: hash of the patient's ID (:func:`pivm.datasets.listing.person_key`); empty where there is none.
        status: ``selected``, ``labels only`` (no CT: serves synthesis alone) or ``set aside``.
        reason: why it is set aside.
        voxels: organ name -> voxels in the scan.
        missing: organs without a mask or id.
        unused: names of masks, segments or ids that mean no organ of the label set.
        notes: what was repaired or left out of the labels, one sentence each.
        overlapping_voxels: claimed by several masks.
        padding_voxels: below -1500 HU.
        tiny_masks: below 0.05 ml.
        resampled: label files brought to the grid of the CT.
        swapped_pairs: left organ right of the right one.
        turned_pairs: front organ behind the back one, or upper organ below the lower one.
        pixel_mm: in-plane pixel size of the standardised slices.
        step_mm: distance between chosen slices.
        content: hash of the voxels, the grid and the slices: rules that read a scan or its slices watch the record, and
            Snakemake takes a small file that holds the same as unchanged.
        hu_hash: of the voxels of the CT alone (:func:`pivm.cohort.twins.hu_hash`); empty without CT.
    """

    subject: str
    patient: str = ""
    status: str = "set aside"
    reason: str = ""
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    axial_slices: int = 0
    slices: int = 0
    pixel_mm: float = 0.0
    step_mm: float = 0.0
    content: str = ""
    hu_hash: str = ""
    overlapping_voxels: int = 0
    padding_voxels: int = 0
    tiny_masks: int = 0
    resampled: int = 0
    swapped_pairs: int = 0
    turned_pairs: int = 0
    voxels: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def indexed(self, rows: pd.DataFrame, patient: str, split: str) -> pd.DataFrame:
        """Its slices as rows of the index of a store.

        Args:
            rows: as preparation wrote them: ``z, role, previous``.
            patient: the person.
            split: that the person is in.
        """
        who = pd.DataFrame({"subject": self.subject, "patient": patient, "split": split}, index=rows.index)
        geometry = {"pixel_mm": self.pixel_mm, "step_mm": self.step_mm, "below_mm": self.spacing[2]}
        return pd.concat([who, rows], axis=1).assign(**geometry)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> SubjectRecord:
        """Read what :meth:`save` wrote."""
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
