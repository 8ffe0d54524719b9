"""Deform training patients into virtual ones: label maps of new anatomies, with the CT under the same deformation."""

from functools import partial
from pathlib import Path

import pandas as pd
from pivm.cohort.split import read_split
from pivm.cohort.store import SliceStore
from pivm.datasets.listing import Subject
from pivm.job import job
from pivm.labels import LabelSet
from pivm.scans.label_maps import Policy
from pivm.seeds import derived_seed
from pivm.settings import read_settings
from pivm.synthesis.label_sources import slices_by_source
from pivm.synthesis.settings import AnatomySettings
from pivm.synthesis.virtual.patients import Stack
from pivm.synthesis.virtual.spread import fit_spread
from pivm.synthesis.virtual.stacks import bones_of, read_stack, spread_subjects, virtual_patients

with job(snakemake):
    params, split = snakemake.params, read_split(snakemake.input.split)
    store = SliceStore(Path(snakemake.input.store[0]).parent, split)
    settings = read_settings(AnatomySettings, params.settings, "synthesis.augmented")
    label_set, folder = LabelSet.from_config(params.labels), Path(snakemake.output.index).parent
    how = (label_set, store.size, Policy(params.overlap, params.other_grid), params.padding)
    rows, bones = store.rows("train"), bones_of(label_set)
    # as many slices as the largest recipe takes where there are no label maps without CT for its `auto`
    counts = [slices_by_source(one["slices"], one["sources"], {"train": len(rows)}) for one in params.recipes]
    slices = max(count.get("augmented", 0) for count in counts)

    def read(name: str) -> Stack:
        """A training scan, read when it is needed."""
        return read_stack(Subject(**params.subjects[name]), *how)

    measured = map(read, spread_subjects(sorted(set(store.index["subject"][rows]))))
    spread = fit_spread(((one.labels, one.body, one.spacing_mm) for one in measured), bones)
    transforms: dict[str, str] = {}
    make = partial(virtual_patients, store, read, bones, settings, spread)
    SliceStore.write(folder, make(slices, derived_seed(params.seed, "virtual patients"), transforms), store.size)
    table = pd.DataFrame({"patient": transforms.keys(), "transform": transforms.values()})
    table.to_csv(snakemake.output.transforms, index=False)
