"""Segment whole CT volumes of held-out patients, every slice, and score them on their own grid."""

from pathlib import Path

from pivm.cohort.patient_csv import read_patient_csv
from pivm.datasets.listing import Subject
from pivm.evaluation.cases import SegmentationCase, case_table
from pivm.evaluation.overlap import score_patient
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.volumes import predict_volume, read_scan

with job(snakemake):
    torch_device, params = device(snakemake), snakemake.params
    label_set, policy = LabelSet.from_config(params.labels), Policy(params.overlap, params.other_grid)
    models = [Path(p).parent for p in snakemake.input.models if p.endswith(".safetensors")]
    segmenters = {
        seed: Segmenter.load(folder, len(label_set) + 1, torch_device)
        for seed, folder in zip(params.segmenter_seeds, models, strict=True)
    }
    split = read_patient_csv(snakemake.input.split)
    cases = []
    for row in split[split["split"] == params.part].itertuples():
        scan = read_scan(Subject(**params.subjects[row.subject]), label_set, policy, params.padding)
        for seed, segmenter in segmenters.items():
            predicted = predict_volume(segmenter, scan, params.size, params.batch)
            scores = score_patient(scan.truth, predicted, label_set.names, scan.spacing_mm, "surfels")
            cases += [
                SegmentationCase(params.generator_seed, seed, row.patient, row.subject, **vars(score))
                for score in scores
            ]
    case_table(cases).to_csv(snakemake.output.cases, index=False)
