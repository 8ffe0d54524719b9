"""Make whole synthetic CT volumes from the labels of real subjects, in TotalSegmentator's layout."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from pivm.cohort.split import LABELS_ONLY, read_split, volume_sources
from pivm.datasets.listing import Subject
from pivm.evaluation.continuity import volume_continuity
from pivm.generators.model_folder import ModelFolder
from pivm.job import device, job, made
from pivm.labels import LabelSet
from pivm.learning.device import memory_hint
from pivm.learning.model_files import model_hash
from pivm.scans.label_maps import Policy
from pivm.seeds import derived_seed
from pivm.synthesis.volumes import read_source, write_provenance, write_synthetic
from pivm.synthesis.z_step import warn_of_step

with job(snakemake):
    torch_device, params = device(snakemake), snakemake.params
    label_set, name = LabelSet.from_config(params.labels), snakemake.wildcards.generator
    model, target = ModelFolder.open(Path(snakemake.input.model[0]).parent), Path(snakemake.output.volumes)
    model.require_fit(label_set.names, params.size)
    generator, prior = model.load(torch_device), model.prior
    split = read_split(snakemake.input.split)
    subjects = volume_sources(split, params.volumes_from, params.volumes)
    places = {one: Subject(**params.subjects[one]) for one in subjects}
    # labels alone serve, whether there is a CT or not
    places = {one: replace(place, ct="") if split[one] == LABELS_ONLY else place for one, place in places.items()}
    how = (label_set, params.size, Policy(params.overlap, params.other_grid), params.padding, prior)
    sources = [read_source(one, place, *how) for one, place in places.items()]
    seeds = [derived_seed(params.seed, "volume", subject) for subject in subjects]
    maps, spacings = [s.label_map for s in sources], [s.spacing_mm for s in sources]
    for subject, spacing in zip(subjects, spacings, strict=True):
        warn_of_step(generator, model.trained_on.below_mm, subject, spacing[2])
    with memory_hint(*generator.memory_setting("synthesis.volumes", len(sources))):
        volumes = list(generator.generate_volumes(maps, seeds, spacings))
    provenance, steps = [], []
    for source, seed, hu in zip(sources, seeds, volumes, strict=True):
        row = {"image_id": f"{source.subject}_{name}", "source": source.subject, "generator": name, "seed": seed}
        provenance.append({**row, "model": model_hash(model.folder), "code": params.code})
        facts = {
            **provenance[-1],
            "versions": made(snakemake)["versions"],
            "command": "snakemake, rule synthesise_volumes",
        }
        write_synthetic(source, hu, label_set, target / row["image_id"], facts)
        steps.append(volume_continuity(source, hu, generator, prior, params.batch, seed))
    write_provenance(provenance, target / "meta.csv")
    pd.concat(steps).to_csv(snakemake.output.continuity, index=False)
