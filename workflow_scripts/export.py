"""Write the real training scans, the synthetic volumes, or both as a data set for other segmenters."""

from pathlib import Path

from pivm.cohort.split import read_split
from pivm.datasets import Dataset
from pivm.datasets.listing import Subject
from pivm.job import job
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.synthesis.export import export

with job(snakemake):
    params, chosen = snakemake.params, {}
    if snakemake.wildcards.part in ("original", "combined"):
        split = read_split(snakemake.input.split)
        training = sorted(name for name, part in split.items() if part == "train")
        chosen |= {name: Subject(**params.subjects[name]) for name in training}
    if snakemake.wildcards.part in ("generated", "combined"):
        synthetic = Dataset("synthetic", {"layout": "totalsegmentator", "path": str(snakemake.input.volumes)})
        chosen |= synthetic.listing().subjects
    export(
        chosen,
        LabelSet.from_config(params.labels),
        Path(snakemake.output[0]),
        snakemake.wildcards.form,
        Policy(params.overlap, params.other_grid),
        params.padding,
    )
