"""Draw the annotated patients of one point of the evidence; the others serve with their label maps alone."""

from pivm.cohort.split import draw_annotated, require_different, split_table
from pivm.job import job

with job(snakemake):
    params = snakemake.params
    split = split_table(snakemake.input.split)
    require_different(split, params.patients)
    drawn = draw_annotated(split, params.annotated, params.seed, "evidence.patients")
    drawn.to_csv(snakemake.output.split, index=False)
