"""Make synthetic slices from the label maps of training patients, or of test patients for evaluation alone."""

from pathlib import Path

from pivm.cohort.split import LABELS_ONLY, read_split, require_split
from pivm.cohort.store import LabelStore, SliceStore
from pivm.generators.model_folder import ModelFolder
from pivm.job import device, job
from pivm.labels import LabelSet
from pivm.learning.model_files import model_hash
from pivm.seeds import derived_seed
from pivm.synthesis.label_sources import Chosen, slices_by_source
from pivm.synthesis.slices import choose_sources, rows_of_patients, synthesise_slices

with job(snakemake):
    params, torch_device, split = snakemake.params, device(snakemake), read_split(snakemake.input.split)
    store = SliceStore(Path(snakemake.input.store[0]).parent, split)
    # the same label maps and noise for every generator
    seed = derived_seed(params.seed, params.purpose)
    if params.part == "train":
        files = {source: snakemake.input[source] for source in ("labels_only", "augmented") if snakemake.input[source]}
        stores = {"train": store} | {source: LabelStore(Path(some[0]).parent) for source, some in files.items()}
        rows = {source: s.rows(LABELS_ONLY if source == LABELS_ONLY else "train") for source, s in stores.items()}
        wanted = slices_by_source(params.slices, params.sources, {source: len(some) for source, some in rows.items()})
        # virtual patients come in one order, and there may be more of them than this recipe asks for
        if "augmented" in rows:
            rows["augmented"] = rows["augmented"][: wanted.get("augmented", 0)]
        chosen = [Chosen(one, stores[one], choose_sources(rows[one], n, seed)) for one, n in wanted.items()]
    else:
        chosen = [Chosen(params.part, store, rows_of_patients(store, params.part, params.patients))]
    for one in chosen:
        allowed = LABELS_ONLY if one.source == LABELS_ONLY else params.part
        require_split(one.provenance()["source_subject"], split, (allowed,), params.purpose)
    model = ModelFolder.open(Path(snakemake.input.model[0]).parent)
    model.require_fit(LabelSet.from_config(params.labels).names, store.size)
    provenance = {"model": model_hash(model.folder), "code": params.code}
    folder = Path(snakemake.output.hu).parent
    synthesise_slices(model.load(torch_device), chosen, params.batch, seed, provenance, folder)
