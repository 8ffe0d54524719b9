"""Train the downstream U-Net on one training set."""

from pathlib import Path

import torch
from pivm.cohort.split import LABELS_ONLY, read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.job import device, job, made, training_run
from pivm.labels import LabelSet
from pivm.learning.loop import Run
from pivm.seeds import derived_seed
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.settings import SegmenterSettings
from pivm.segmentation.training_set import TrainingSlices, real_part, synthetic_part
from pivm.settings import read_settings

with job(snakemake):
    torch_device, training_set = device(snakemake), snakemake.wildcards.training_set
    settings = read_settings(SegmenterSettings, snakemake.params.settings, "segmentation")
    split = read_split(snakemake.input.split)
    store = SliceStore.checked(Path(snakemake.input.store[0]).parent, split)
    # the seed does not name the training set: all sets of a table start from the same weights
    seed = derived_seed(snakemake.wildcards.segmenter_seed, "segmenter")
    parts, subjects = [], set()
    if snakemake.params.real:
        parts.append(real_part(store, settings.real_slices, subjects, snakemake.params.fold))
    if snakemake.input.synthetic:
        scores = [Path(path) for path in snakemake.input.synthetic if path.endswith("gate.csv")]
        parts.append(synthetic_part(Path(snakemake.input.synthetic[0]).parent, subjects, *scores))
    require_split(subjects, split, ("train", LABELS_ONLY), f"segmenter on {training_set}")
    torch.manual_seed(seed)
    segmenter = Segmenter(settings, len(LabelSet.from_config(snakemake.params.labels)) + 1, torch_device)
    run = Run.of(**training_run(snakemake, f"segmenter/{training_set}/seed_{snakemake.wildcards.segmenter_seed}"))
    segmenter.fit(TrainingSlices(parts), seed, run)
    facts = {"training_set": training_set, "slices": [len(part.hu) for part in parts]}
    facts |= {"seed": int(snakemake.wildcards.segmenter_seed), "made": made(snakemake)}
    segmenter.save(Path(snakemake.output.weights).parent, facts)
    run.resume.clear()
