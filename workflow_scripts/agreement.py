"""What segmenters of original slices see in synthetic slices of test patients, against the labels of these slices."""

from pathlib import Path

import pandas as pd
from pivm.evaluation.agreement import slice_agreement
from pivm.evaluation.paired import PairedSlices
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.segmentation.segmenter import Segmenter

with job(snakemake):
    torch_device, params, given = device(snakemake), snakemake.params, snakemake.input
    classes = len(LabelSet.from_config(params.labels)) + 1
    pairs = PairedSlices.read(given, params.runs, "test")
    folders = [Path(path).parent for path in given.models if path.endswith(".safetensors")]
    segmenters = [Segmenter.load(folder, classes, torch_device) for folder in folders]
    pd.DataFrame(slice_agreement(pairs, segmenters, params.batch)).to_csv(snakemake.output[0], index=False)
