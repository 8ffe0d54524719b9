"""Make synthetic slices from the label maps of whole splits, for the privacy audit alone."""

from pathlib import Path

from pivm.cohort.split import read_split
from pivm.cohort.store import SliceStore
from pivm.generators.model_folder import ModelFolder
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.learning.model_files import model_hash
from pivm.seeds import derived_seed
from pivm.synthesis.copies import require_validation
from pivm.synthesis.label_sources import Chosen
from pivm.synthesis.slices import synthesise_slices

with job(snakemake):
    params, torch_device = snakemake.params, device(snakemake)
    store = SliceStore(Path(snakemake.input.store[0]).parent, read_split(snakemake.input.split))
    require_validation(store)
    model = ModelFolder.open(Path(snakemake.input.model[0]).parent)
    model.require_fit(LabelSet.from_config(params.labels).names, store.size)
    chosen = [Chosen(part, store, store.rows(part)) for part in params.parts]
    provenance, seed = {"model": model_hash(model.folder), "code": params.code}, derived_seed(params.seed, "privacy")
    folder = Path(snakemake.output.hu).parent
    synthesise_slices(model.load(torch_device), chosen, params.batch, seed, provenance, folder)
