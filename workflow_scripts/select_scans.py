"""List which scans are used and why others are not, and how often each label occurs."""

from pivm.cohort.record import SubjectRecord
from pivm.cohort.selection import label_table, selection_table, unused_names
from pivm.job import job, log
from pivm.labels import LabelSet

with job(snakemake):
    records = [SubjectRecord.load(path) for path in snakemake.input.records]
    selection = selection_table(records, snakemake.params.refused)
    label_set = LabelSet.from_config(snakemake.params.labels)
    labels = label_table(records, label_set, isinstance(snakemake.params.labels, list))
    selection.to_csv(snakemake.output.selection, index=False)
    labels.to_csv(snakemake.output.labels, index=False)
    log.info("%d of %d scans selected", (selection["status"] == "selected").sum(), len(selection))
    names = unused_names(records, label_set)
    names.to_csv(snakemake.output.unused_names, index=False)
    slips = names[(names["nearest"] != "") & (names["nearest_scans"] == 0)]
    if len(slips):
        said = ", ".join(f"{row.name} (did you mean {row.nearest}?)" for row in slips.itertuples(index=False))
        log.warning("names of the data set that mean none of the labels: %s; see datasets.<name>.mapping", said)
    absent = labels.loc[labels["patients"] == 0, "label"].tolist()
    if absent and (selection["status"] == "selected").any():
        log.warning("labels that no selected scan holds: %s", ", ".join(absent))
