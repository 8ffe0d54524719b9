"""Segment whole CT volumes of held-out patients with nnU-Net and score them as our own segmenters are."""

import tempfile
from pathlib import Path

from pivm.cohort.patient_csv import read_patient_csv
from pivm.evaluation.cases import SegmentationCase, case_table
from pivm.evaluation.overlap import score_patient
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.segmentation.nnunet import predict, read_segmentation

with job(snakemake):
    params, data = snakemake.params, Path(snakemake.input.data)
    torch_device, label_set = device(snakemake), LabelSet.from_config(params.labels)
    patients = read_patient_csv(snakemake.input.split).set_index("subject")["patient"]
    cases = []
    for seed, checkpoint in zip(params.seeds, map(Path, snakemake.input.models), strict=True):
        with tempfile.TemporaryDirectory(dir=Path(snakemake.output[0]).parent) as folder:
            predict(data / "imagesTs", checkpoint.parents[1], Path(folder), torch_device, Path(snakemake.log[0]))
            for path in sorted((data / "labelsTs").glob("*.nii.gz")):
                scan = path.name.removesuffix(".nii.gz")
                truth, spacing_mm = read_segmentation(path)
                predicted, _ = read_segmentation(Path(folder) / path.name)
                scores = score_patient(truth, predicted, label_set.names, spacing_mm, "surfels")
                about = (params.generator_seed, seed, patients[scan], scan)
                cases += [SegmentationCase(*about, **vars(score)) for score in scores]
    case_table(cases).to_csv(snakemake.output.cases, index=False)
