"""Write the real training scans, the synthetic volumes, or both as a data set for other segmenters."""

from pathlib import Path

from pivm.cohort.patient_csv import read_patient_csv
from pivm.datasets import Dataset
from pivm.datasets.listing import Subject
from pivm.job import job
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.synthesis.export import Reading, export_nnunet, export_totalsegmentator
from pivm.synthesis.folds import folds, label_sources

with job(snakemake):
    params, part, folder = snakemake.params, snakemake.params.part, Path(snakemake.output[0])
    how = Reading(LabelSet.from_config(params.labels), Policy(params.overlap, params.other_grid), params.padding)
    split = read_patient_csv(snakemake.input.split).set_index("subject")

    def of(name: str) -> dict[str, Subject]:
        """The real scans of a part of the split."""
        return {one: Subject(**params.subjects[one]) for one in sorted(split.index[split["split"] == name])}

    chosen, sources = ({} if part == "generated" else of("train")), {}
    if part != "original":
        volumes = Path(snakemake.input.volumes)
        synthetic = Dataset("synthetic", {"layout": "totalsegmentator", "path": str(volumes)})
        chosen |= synthetic.listing().subjects
        sources = label_sources(volumes)
    if params.form == "totalsegmentator":
        export_totalsegmentator(chosen, folder, how)
    else:
        validation = of("val")
        chosen |= validation
        persons = {case: split["patient"][sources.get(case, case)] for case in chosen}
        export_nnunet(chosen, of("test"), folder, how, folds(persons, sources, validation))
