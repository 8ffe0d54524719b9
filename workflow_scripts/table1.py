"""Table 1 in four forms, with its cases, paired differences and the floor of real slices beside it."""

from pivm.evaluation.cases import read_cases
from pivm.evaluation.image_metrics import shown_metrics, with_companions
from pivm.evaluation.image_scoring import ImageScores
from pivm.evaluation.image_summary import summarise_images
from pivm.evaluation.settings import TableSettings
from pivm.job import job
from pivm.report.image_table import write_image_table
from pivm.report.words import TableFacts, Words
from pivm.settings import read_settings

with job(snakemake):
    params, files = snakemake.params, snakemake.input
    tables = read_settings(TableSettings, params.tables, "tables")
    shown = shown_metrics(tables.image_metrics, tables.extractor.network)
    scores = ImageScores(*(read_cases(path) for path in (files.cases, files.floor, files.kid)))
    methods = list(dict.fromkeys(method for method, _ in params.runs))
    table = summarise_images(scores, with_companions(shown), methods, tables.confidence)
    table.cases.to_csv(snakemake.output.cases, index=False)
    table.floor.to_csv(snakemake.output.floor, index=False)
    table.summary.differences.to_csv(snakemake.output.differences, index=False)
    words = Words.of(params.procedural)
    facts = TableFacts(tables.confidence, params.reference, words=words, weights=params.weights)
    write_image_table(table, shown, tables.image_window, facts, snakemake.output)
