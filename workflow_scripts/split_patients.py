"""Assign each selected patient to train, val or test, once and for all stages."""

import pandas as pd
from pivm.cohort import split_patients
from pivm.errors import CohortError
from pivm.job import job

with job(snakemake):
    selection = pd.read_csv(snakemake.input.selection, dtype={"subject": str}).fillna({"reason": ""})
    used = selection["status"] == "selected"
    try:
        split = split_patients(
            selection.loc[used, "subject"].tolist(), snakemake.params.split, snakemake.params.own_split
        )
    except CohortError as error:
        aside = "\n".join(f"  {r.subject}: {r.reason}" for r in selection[~used].head(10).itertuples())
        raise CohortError(
            f"{error}\nScans set aside ({(~used).sum()}, all in {snakemake.input.selection}):\n{aside}"
        ) from None
    split.to_csv(snakemake.output.split, index=False)
