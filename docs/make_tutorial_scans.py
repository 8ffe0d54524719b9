"""Draw eight small phantom scans to rehearse docs/tutorial.md with: python docs/make_tutorial_scans.py FOLDER

Six are sound, p07 has labels and no CT, and the HU of p08 are a thousand too high, as where an intercept was lost.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pivm.datasets.phantom.scan import write_patient
from pivm.scans.nifti import read_ct, write_volume

SCANS, LABELS_ALONE, SHIFTED = 8, 7, 8


def main(folder: Path) -> None:
    for number in range(1, SCANS + 1):
        scan = folder / f"p{number:02d}"
        # another seed than that of the embedded phantom, so that nobody takes these for its patients
        write_patient(scan, seed=11, index=number, matrix=48, slice_spacing=12.0)
        if number == LABELS_ALONE:
            (scan / "ct.nii.gz").unlink()
        if number == SHIFTED:
            ct = read_ct(scan / "ct.nii.gz")
            write_volume((ct.hu + 1024).astype(np.int16), ct.affine, scan / "ct.nii.gz")
    print(f"{SCANS} scans in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
