"""Tables that name patients."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def read_patient_csv(path: Path) -> pd.DataFrame:
    """Read a CSV whose patients may be called ``NA``, ``nan`` or ``007``: names stay text, nothing becomes NaN."""
    names = dict.fromkeys(("subject", "patient", "source_subject"), str)
    return pd.read_csv(path, dtype=names, keep_default_na=False)
