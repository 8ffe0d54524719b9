"""Segment the real test slices and score every patient and class."""

from pathlib import Path

import numpy as np
from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.evaluation.cases import case_table
from pivm.evaluation.overlap import score_patient
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.segmentation.segmenter import Segmenter

with job(snakemake):
    torch_device = device(snakemake)
    store, label_set = SliceStore(Path(snakemake.input.store[0]).parent), LabelSet.from_config(snakemake.params.labels)
    test_rows = store.rows("test")
    require_split(store.index["subject"][test_rows], read_split(snakemake.input.split), ("test",), "test")
    models = [Path(p).parent for p in snakemake.input.models if p.endswith(".safetensors")]
    cases = []
    for seed, folder in zip(snakemake.params.seeds, models, strict=True):
        segmenter = Segmenter.load(folder, len(label_set) + 1, torch_device)
        for (patient, _), part in store.index.iloc[test_rows].groupby(["patient", "subject"]):
            rows = part.index.to_numpy()
            spacing_mm = (part["step_mm"].iloc[0], part["pixel_mm"].iloc[0], part["pixel_mm"].iloc[0])
            predicted = segmenter.predict(store.hu[rows], snakemake.params.batch)
            cases += score_patient(
                np.asarray(store.labels[rows]), predicted, label_set.names, spacing_mm, patient, seed
            )
    case_table(cases).to_csv(snakemake.output.cases, index=False)
