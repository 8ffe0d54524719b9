"""Write the real training scans, the synthetic volumes, or both as a data set for other segmenters."""

import json
from pathlib import Path

from pivm.cohort.patient_csv import read_patient_csv
from pivm.cohort.split import read_split
from pivm.datasets import Dataset
from pivm.datasets.listing import Subject
from pivm.job import job
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.synthesis.export import export
from pivm.synthesis.folds import folds, label_sources

with job(snakemake):
    params, chosen, sources = snakemake.params, {}, {}
    if snakemake.wildcards.part in ("original", "combined"):
        split = read_split(snakemake.input.split)
        training = sorted(name for name, part in split.items() if part == "train")
        chosen |= {name: Subject(**params.subjects[name]) for name in training}
    if snakemake.wildcards.part in ("generated", "combined"):
        synthetic = Dataset("synthetic", {"layout": "totalsegmentator", "path": str(snakemake.input.volumes)})
        chosen |= synthetic.listing().subjects
        sources = label_sources(Path(snakemake.input.volumes))
    export(
        chosen,
        LabelSet.from_config(params.labels),
        Path(snakemake.output[0]),
        snakemake.wildcards.form,
        Policy(params.overlap, params.other_grid),
        params.padding,
    )
    if snakemake.wildcards.form == "nnunet":
        person = read_patient_csv(snakemake.input.split).set_index("subject")["patient"]
        found = folds({case: person[sources.get(case, case)] for case in chosen}, sources)
        if found:
            (Path(snakemake.output[0]) / "splits_final.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
