"""Draw the annotated patients of one point of the evidence; the others serve with their label maps alone."""

from pivm.cohort.split import draw_annotated, split_table
from pivm.job import job

with job(snakemake):
    params = snakemake.params
    drawn = draw_annotated(split_table(snakemake.input.split), params.annotated, params.seed)
    drawn.to_csv(snakemake.output.split, index=False)
