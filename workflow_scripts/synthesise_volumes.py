"""Make whole synthetic CT volumes from the labels of training patients, in TotalSegmentator's layout."""

from pathlib import Path

from pivm.cohort import read_split
from pivm.compute import memory_hint
from pivm.datasets.totalsegmentator import ct_file, mask_files
from pivm.generators.registry import load_generator, require_fit
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.model_files import model_hash
from pivm.prior import Prior
from pivm.synthetic_volumes import read_source, write_provenance, write_synthetic
from pivm.training import derived_seed

with job(snakemake):
    where, params = device(snakemake, snakemake.params.compute), snakemake.params
    label_set, name = LabelSet.from_config(params.labels), snakemake.wildcards.generator
    folder, target = Path(snakemake.input.model[0]).parent, Path(snakemake.output[0])
    require_fit(folder, label_set.names, params.size)
    generator, prior = load_generator(folder, where), Prior.load(folder / "prior.json")
    split = read_split(snakemake.input.split)
    subjects = sorted(s for s, part in split.items() if part == "train")[: params.volumes]
    sources = []
    for subject in subjects:
        place = Path(params.folders[subject])
        masks = mask_files(place, label_set.names)
        sources.append(read_source(subject, ct_file(place), masks, label_set, params.size, params.overlap, prior))
    seeds = [derived_seed(params.seed, "volume", subject) for subject in subjects]
    with memory_hint("synthesis.volumes", len(sources)):
        volumes = list(generator.generate_volumes([s.label_map for s in sources], seeds))
    provenance = []
    for source, seed, hu in zip(sources, seeds, volumes, strict=True):
        image_id = f"{source.subject}_{name}"
        write_synthetic(source, hu, label_set, target / image_id)
        row = {"image_id": image_id, "source": source.subject, "generator": name, "seed": seed}
        provenance.append({**row, "model": model_hash(folder)})
    write_provenance(provenance, target / "meta.csv")
