"""Coronal and sagittal views of the first synthetic volume beside its source (Fig. 5 of the paper)."""

from pathlib import Path

import pandas as pd
from pivm.datasets import read_ct, read_labels
from pivm.datasets.listing import Subject
from pivm.datasets.totalsegmentator import subject
from pivm.job import job
from pivm.labels import LabelSet
from pivm.report.forms import method_title
from pivm.report.views import plot_views, volumes_of
from pivm.report.words import Words
from pivm.scans.label_maps import Policy

with job(snakemake):
    params, folder = snakemake.params, Path(snakemake.input.volumes)
    first = pd.read_csv(folder / "meta.csv", sep=";", dtype=str, keep_default_na=False).iloc[0]
    source, label_set = Subject(**params.subjects[first["source"]]), LabelSet.from_config(params.labels)
    synthetic = subject(folder / first["image_id"], "ct.nii.gz")
    synthetic_ct = read_ct(synthetic)
    labels = read_labels(synthetic, label_set, synthetic_ct.grid, Policy())
    grid, real = synthetic_ct.grid, read_ct(source).hu if source.ct else None
    titles = Words.of(params.procedural).ct, method_title(first["generator"])
    views = volumes_of(real, synthetic_ct.hu, grid, params.size, *titles)
    plot_views(views, labels.array, label_set.names, grid, Path(snakemake.output[0]))
