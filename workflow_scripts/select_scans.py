"""List which scans are used and why others are not, and how often each label occurs."""

from pivm.cohort.record import SubjectRecord
from pivm.cohort.selection import label_table, selection_table
from pivm.job import job, log
from pivm.labels import LabelSet

with job(snakemake):
    records = [SubjectRecord.load(path) for path in snakemake.input.records]
    selection = selection_table(records, snakemake.params.refused)
    labels = label_table(
        records, LabelSet.from_config(snakemake.params.labels), isinstance(snakemake.params.labels, list)
    )
    selection.to_csv(snakemake.output.selection, index=False)
    labels.to_csv(snakemake.output.labels, index=False)
    log.info("%d of %d scans selected", (selection["status"] == "selected").sum(), len(selection))
    absent = labels.loc[labels["patients"] == 0, "label"].tolist()
    if absent and (selection["status"] == "selected").any():
        log.warning("labels that no selected scan holds: %s", ", ".join(absent))
