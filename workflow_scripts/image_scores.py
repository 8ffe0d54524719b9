"""Score every generator's slices of test patients against the real ones, and real slices against real ones."""

from pivm.evaluation.features import Extractor
from pivm.evaluation.image_metrics import shown_metrics, with_companions
from pivm.evaluation.image_scoring import score_images
from pivm.evaluation.paired import PairedSlices
from pivm.evaluation.settings import TableSettings
from pivm.job import device, job
from pivm.settings import read_settings

with job(snakemake):
    torch_device, tables = device(snakemake), read_settings(TableSettings, snakemake.params.tables, "tables")
    network, weights = tables.extractor.network, tables.extractor.weights
    metrics = with_companions(shown_metrics(tables.image_metrics, network))
    pairs = PairedSlices.read(snakemake.input, snakemake.params.runs, snakemake.params.part)
    extractor = Extractor(network, weights, torch_device) if any(m.features for m in metrics) else None
    scores = score_images(pairs, metrics, extractor, tables.image_window)
    scores.cases.to_csv(snakemake.output.cases, index=False)
    scores.floor.to_csv(snakemake.output.floor, index=False)
    scores.pooled.to_csv(snakemake.output.kid, index=False)
