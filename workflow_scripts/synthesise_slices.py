"""Make synthetic slices from the label maps of training patients, or of test patients for evaluation alone."""

from pathlib import Path

from pivm.cohort.split import read_split, require_split
from pivm.cohort.store import SliceStore
from pivm.generators.model_folder import ModelFolder
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.learning.model_files import model_hash
from pivm.seeds import derived_seed
from pivm.synthesis.slices import choose_sources, rows_of_patients, synthesise_slices

with job(snakemake):
    params, torch_device = snakemake.params, device(snakemake)
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    # the same label maps and noise for every generator
    seed = derived_seed(params.seed, params.purpose)
    if params.part == "train":
        sources = choose_sources(store.rows("train"), params.slices, seed)
    else:
        sources = rows_of_patients(store, params.part, params.patients)
    require_split(store.index["subject"][sources], read_split(snakemake.input.split), (params.part,), params.purpose)
    model = ModelFolder.open(Path(snakemake.input.model[0]).parent)
    model.require_fit(LabelSet.from_config(params.labels).names, store.size)
    target = Path(snakemake.output.hu).parent
    generator = model.load(torch_device)
    provenance = {"model": model_hash(model.folder), "code": params.code}
    synthesise_slices(generator, store, sources, params.batch, seed, provenance, target)
