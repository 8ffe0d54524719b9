"""Write one phantom patient as NIfTI files in TotalSegmentator's layout."""

from pathlib import Path

from pivm.datasets.phantom.scan import write_patient
from pivm.job import job

with job(snakemake):
    index = int(snakemake.wildcards.subject.rsplit("_", 1)[1])
    write_patient(Path(snakemake.output.ct).parent, index=index, **snakemake.params.settings)
