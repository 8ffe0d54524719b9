"""Write the labels of one phantom patient, who has no CT, in TotalSegmentator's layout."""

from pathlib import Path

from pivm.datasets.phantom.scan import write_labels
from pivm.job import job

with job(snakemake):
    index = int(snakemake.wildcards.subject.rsplit("_", 1)[1])
    write_labels(Path(snakemake.output.masks[0]).parents[1], index=index, **snakemake.params.settings)
