"""Write the model card of a trained generator."""

from pathlib import Path

import pandas as pd
from pivm.cohort.split import split_table
from pivm.generators.model_folder import ModelFolder
from pivm.job import job
from pivm.report.generator_card import write_model_card
from pivm.report.privacy_table import audit_sentences
from pivm.report.words import Words

with job(snakemake):
    model = ModelFolder.open(Path(snakemake.input.model[0]).parent)
    split = split_table(snakemake.input.split)
    tables = {"Table 1": snakemake.input.table1, "Table 2": snakemake.input.table2}
    audit = [pd.read_csv(path, keep_default_na=False, na_values="") for path in snakemake.input.privacy]
    write_model_card(
        model,
        dict(zip(split["patient"], split["split"], strict=True)),
        snakemake.params.dataset,
        Words.of(snakemake.params.procedural),
        {heading: pd.read_csv(path) for heading, path in tables.items()},
        [said for table in audit for said in audit_sentences(table, model.settings.name, snakemake.params.confidence)],
        Path(snakemake.output[0]),
    )
