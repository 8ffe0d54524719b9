"""Make whole synthetic CT volumes from the labels of real subjects, in TotalSegmentator's layout."""

from pathlib import Path

from pivm.cohort import read_split, volume_sources
from pivm.datasets.listing import Subject
from pivm.generators.registry import load_generator
from pivm.job import device, job
from pivm.label_maps import Policy
from pivm.labels import LabelSet
from pivm.model_files import model_hash
from pivm.prior import Prior
from pivm.slices import SliceStore, read_names
from pivm.synthetic_volumes import read_source, training_margins, write_provenance, write_synthetic
from pivm.training import derived_seed

with job(snakemake):
    where, params = device(snakemake, snakemake.params.compute), snakemake.params
    prior, label_set = Prior.load(snakemake.input.prior), LabelSet.from_config(params.labels)
    folder, target = Path(snakemake.input.weights).parent, Path(snakemake.output[0])
    store = Path(snakemake.input.store[0]).parent
    generator, name = load_generator(folder, prior, where), snakemake.wildcards.generator
    split, selection = read_split(snakemake.input.split), read_names(snakemake.input.selection)
    subjects = volume_sources(split, selection, params.volumes_from, params.volumes)
    policy, margins = Policy(params.overlap, params.other_grid), training_margins(SliceStore(store))
    places = [Subject(**params.subjects[name]) for name in subjects]
    sources = [
        read_source(subject, place, label_set, params.size, policy, prior, margins)
        for subject, place in zip(subjects, places, strict=True)
    ]
    seeds = [derived_seed(params.seed, "volume", subject) for subject in subjects]
    volumes = generator.generate_volumes([s.label_map for s in sources], seeds)
    provenance = []
    for source, seed, hu in zip(sources, seeds, volumes, strict=True):
        image_id = f"{source.subject}_{name}"
        write_synthetic(source, hu, label_set, target / image_id)
        row = {"image_id": image_id, "source": source.subject, "generator": name, "seed": seed}
        provenance.append({**row, "model": model_hash(folder)})
    write_provenance(provenance, target / "meta.csv")
