"""What segmenters of original slices see in synthetic slices of held-out patients, against their label maps."""

from pathlib import Path

import pandas as pd
from pivm.evaluation.agreement import agreement
from pivm.evaluation.paired import PairedSlices
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.segmentation.segmenter import Segmenter

with job(snakemake):
    torch_device, params, given = device(snakemake), snakemake.params, snakemake.input
    names = LabelSet.from_config(params.labels).names
    pairs = PairedSlices.read(given, params.runs, params.part)
    folders = [Path(path).parent for path in given.models if path.endswith(".safetensors")]
    segmenters = {
        seed: Segmenter.load(folder, len(names) + 1, torch_device)
        for seed, folder in zip(params.segmenter_seeds, folders, strict=True)
    }
    patients, slices = pairs.store.index["patient"].to_numpy()[pairs.rows], []
    for run, path in zip([None, *pairs.synthetic], snakemake.output.cases, strict=True):
        found = agreement(pairs, run, segmenters, names, params.batch)
        found.cases.to_csv(path, index=False)
        if run is not None:
            facts = {"method": run.method, "generator_seed": run.seed, "source_row": pairs.rows}
            slices.append(pd.DataFrame({**facts, "patient": patients, "dice": found.slices}))
    pd.concat(slices).to_csv(snakemake.output.slices, index=False)
