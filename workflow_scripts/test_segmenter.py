"""Segment the real slices of held-out patients and score every patient and class."""

from pathlib import Path

import numpy as np
from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.evaluation.cases import SegmentationCase, case_table
from pivm.evaluation.overlap import score_patient
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.segmentation.segmenter import Segmenter

with job(snakemake):
    torch_device = device(snakemake)
    params, part = snakemake.params, snakemake.params.part
    store, label_set = SliceStore(Path(snakemake.input.store[0]).parent), LabelSet.from_config(params.labels)
    held_out = store.rows(part)
    require_split(store.index["subject"][held_out], read_split(snakemake.input.split), (part,), part)
    models = [Path(p).parent for p in snakemake.input.models if p.endswith(".safetensors")]
    cases = []
    for seed, folder in zip(params.segmenter_seeds, models, strict=True):
        segmenter = Segmenter.load(folder, len(label_set) + 1, torch_device)
        for (patient, scan), slices in store.index.iloc[held_out].groupby(["patient", "subject"]):
            rows, first = slices.index.to_numpy(), slices.iloc[0]
            spacing_mm = (first["step_mm"], first["pixel_mm"], first["pixel_mm"])
            predicted = segmenter.predict(store.hu[rows], params.batch)
            scores = score_patient(np.asarray(store.labels[rows]), predicted, label_set.names, spacing_mm)
            cases += [SegmentationCase(params.generator_seed, seed, patient, scan, **vars(score)) for score in scores]
    case_table(cases).to_csv(snakemake.output.cases, index=False)
