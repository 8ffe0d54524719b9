"""The table and the figure of the privacy audit."""

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.split import split_table
from pivm.evaluation.privacy.audit import Audit, audit_table
from pivm.job import job
from pivm.report.privacy_figure import plot_privacy
from pivm.report.privacy_table import write_privacy
from pivm.report.words import Words
from pivm.synthesis.copies import read_distances

with job(snakemake):
    params, given, audits = snakemake.params, snakemake.input, []
    for (method, seed), distances, losses, split in zip(
        params.runs, given.distances, given.losses, given.splits, strict=True
    ):
        table = split_table(split)
        members = sorted(set(table.loc[table["split"] == "train", "patient"]))
        audits.append(Audit(method, seed, read_distances(distances), read_patient_csv(losses), tuple(members)))
    table = audit_table(audits, params.percentiles, params.confidence)
    write_privacy(table, params.percentiles, params.confidence, Words.of(params.procedural), snakemake.output)
    plot_privacy(audits, table, params.percentiles["copies"], snakemake.output.figure)
