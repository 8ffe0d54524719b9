"""The metrics of Table 1, one module each."""

from __future__ import annotations

from collections.abc import Sequence

from pivm.evaluation.metrics import ImageMetric, find_metrics

#: key -> metric, in the order of the columns of the cases
IMAGE_METRICS: dict[str, ImageMetric] = find_metrics(__name__, __path__, ImageMetric)


def shown_metrics(keys: Sequence[str], extractor: str) -> list[ImageMetric]:
    """The columns of Table 1.

    Args:
        keys: config key ``tables.image_metrics``.
        extractor: key of :data:`pivm.evaluation.settings.EXTRACTORS`; on Inception a Fréchet distance is a FID.
    """
    asked = (IMAGE_METRICS[key] for key in keys)
    return [IMAGE_METRICS[key] for key in dict.fromkeys(m.renamed.get(extractor, m.key) for m in asked)]


def with_companions(shown: Sequence[ImageMetric]) -> list[ImageMetric]:
    """The columns of Table 1, then what stands in the note below it."""
    keys = [*(m.key for m in shown), *(key for m in shown for key in m.companions)]
    return [IMAGE_METRICS[key] for key in dict.fromkeys(keys)]
