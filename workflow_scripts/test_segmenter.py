"""Segment the real test slices and score every patient and class."""

from pathlib import Path

import numpy as np
import pandas as pd
from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.evaluation.overlap import score_patient
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.segmentation.segmenter import Segmenter

with job(snakemake):
    where = device(snakemake)
    store, label_set = SliceStore(Path(snakemake.input.store[0]).parent), LabelSet.from_config(snakemake.params.labels)
    rows = store.rows("test")
    require_split(store.index["subject"][rows], read_split(snakemake.input.split), ("test",), "test")
    models = [Path(p).parent for p in snakemake.input.models if p.endswith(".safetensors")]
    cases = []
    for seed, folder in zip(snakemake.params.seeds, models, strict=True):
        segmenter = Segmenter.load(folder, len(label_set) + 1, where)
        for patient, part in store.index.iloc[rows].groupby("subject"):
            some = part.index.to_numpy()
            spacing = (part["step_mm"].iloc[0], part["pixel_mm"].iloc[0], part["pixel_mm"].iloc[0])
            predicted = segmenter.predict(store.hu[some], snakemake.params.batch)
            for score in score_patient(np.asarray(store.labels[some]), predicted, len(label_set), spacing):
                facts = {**vars(score), "label": label_set.names[score.label - 1]}
                cases.append({"seed": seed, "patient": patient, **facts})
    pd.DataFrame(cases).to_csv(snakemake.output.cases, index=False)
