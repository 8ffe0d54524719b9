"""Score every generator's slices of test patients against the real ones, and real slices against real ones."""

from pivm.evaluation.features import Extractor
from pivm.evaluation.image_scores import score_images
from pivm.evaluation.metrics import extractor_name
from pivm.evaluation.paired import PairedSlices
from pivm.job import device, job

with job(snakemake):
    where, options = device(snakemake), snakemake.params.tables
    pairs = PairedSlices.read(snakemake.input, snakemake.params.generators)
    extractor = Extractor(extractor_name(options["extractor"]), options["extractor"]["weights"], where)
    frames = score_images(pairs, extractor, options["image_window"])
    for frame, path in zip(frames, snakemake.output, strict=True):
        frame.to_csv(path, index=False)
