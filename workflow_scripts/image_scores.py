"""Score every generator's slices of test patients against the real ones, and real slices against real ones."""

from pathlib import Path

from pivm.cohort import read_split
from pivm.evaluation.features import Extractor
from pivm.evaluation.image_scores import score_images
from pivm.evaluation.metrics import extractor_name
from pivm.evaluation.paired import PairedSlices
from pivm.job import device, job
from pivm.slices import SliceStore

with job(snakemake):
    where, options = device(snakemake), snakemake.params.tables
    places = [Path(p).parent for p in snakemake.input.synthetic if p.endswith(".npy")]
    folders = dict(zip(snakemake.params.generators, places, strict=True))
    store = SliceStore(Path(snakemake.input.store[0]).parent)
    pairs = PairedSlices.load(store, read_split(snakemake.input.split), folders)
    extractor = Extractor(extractor_name(options["extractor"]), options["extractor"]["weights"], where)
    frames = score_images(pairs, extractor, options["image_window"], options["confidence"])
    for frame, path in zip(frames, snakemake.output, strict=True):
        frame.to_csv(path, index=False)
