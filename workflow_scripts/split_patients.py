"""Assign each selected patient to train, val or test, once and for all stages."""

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.split import SplitSettings, add_label_maps, draw_annotated, split_patients
from pivm.errors import CohortError
from pivm.job import job
from pivm.settings import read_settings

with job(snakemake):
    selection = read_patient_csv(snakemake.input.selection)
    used, labels_only = (selection["status"] == status for status in ("selected", "labels only"))
    settings = read_settings(SplitSettings, snakemake.params.split, "split")
    try:
        persons, without_ct = (
            dict(zip(selection.loc[some, "subject"], selection.loc[some, "patient"], strict=True))
            for some in (used, labels_only)
        )
        split = split_patients(persons, settings, snakemake.params.own_split)
        split = draw_annotated(add_label_maps(split, without_ct), settings.annotated, settings.seed)
    except CohortError as error:
        aside = [f"  {r.subject}: {r.reason}" for r in selection[~used].head(10).itertuples()]
        if aside:
            aside.insert(0, f"Scans not selected ({(~used).sum()}, all in {snakemake.input.selection}):")
        raise CohortError("\n".join([str(error), *aside])) from None
    split.to_csv(snakemake.output.split, index=False)
