"""Segment the real slices of held-out patients and score every patient and class."""

from functools import partial
from pathlib import Path

from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.evaluation.cases import case_table
from pivm.evaluation.stack_scoring import score_stacks
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.segmentation.other_scanner import ShiftSettings, shifted_slices
from pivm.segmentation.segmenter import Segmenter
from pivm.settings import read_settings

with job(snakemake):
    torch_device = device(snakemake)
    params, part = snakemake.params, snakemake.params.part
    store, label_set = SliceStore(Path(snakemake.input.store[0]).parent), LabelSet.from_config(params.labels)
    held_out = store.rows(part)
    require_split(store.index["subject"][held_out], read_split(snakemake.input.split), (part,), part)
    models = [Path(p).parent for p in snakemake.input.models if p.endswith(".safetensors")]
    cases, shift = [], None
    if params.shifted:
        settings = read_settings(ShiftSettings, params.shifted, "evidence.shifted")
        shift = partial(shifted_slices, names=label_set.names, settings=settings, seed=params.noise_seed)
    for seed, folder in zip(params.segmenter_seeds, models, strict=True):
        segmenter = Segmenter.load(folder, len(label_set) + 1, torch_device)
        seeds = (params.generator_seed, seed)
        cases += score_stacks(segmenter, store, held_out, label_set.names, params.batch, seeds, shift)
    case_table(cases).to_csv(snakemake.output.cases, index=False)
