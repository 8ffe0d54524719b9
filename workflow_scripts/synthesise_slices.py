"""Make synthetic slices from the label maps of training patients."""

from pathlib import Path

from pivm.cohort.prior import Prior
from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.generators.registry import load_generator, require_fit
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.learning.model_files import model_hash
from pivm.seeds import derived_seed
from pivm.synthesis.slices import choose_sources, synthesise_slices

with job(snakemake):
    where = device(snakemake)
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    # the same label maps and noise for every generator
    seed = derived_seed(snakemake.params.seed, "synthesis")
    sources = choose_sources(store.rows("train"), snakemake.params.slices, seed)
    require_split(store.index["subject"][sources], read_split(snakemake.input.split), ("train",), "synthesis")
    folder = Path(snakemake.input.model[0]).parent
    require_fit(folder, LabelSet.from_config(snakemake.params.labels).names, store.size)
    generator, prior = load_generator(folder, where), Prior.load(folder / "prior.json")
    target = Path(snakemake.output.hu).parent
    provenance = {"model": model_hash(folder), "code": snakemake.params.code}
    synthesise_slices(generator, store, prior, sources, snakemake.params.batch, seed, provenance, target)
