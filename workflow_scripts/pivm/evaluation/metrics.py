"""What a metric of a table is, and how the entries of a package of metrics are found.

A metric is one module that holds all there is to say of it in a constant ``METRIC``, and bears its name: packages
:mod:`pivm.evaluation.segmentation_metrics` (Tables 2 and 3) and :mod:`pivm.evaluation.image_metrics` (Table 1). The
workflow reads all entries when it starts, so an entry imports torch, scipy and the like inside its functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from pivm.evaluation.intervals import Scale
    from pivm.evaluation.overlap import ClassMasks
    from pivm.evaluation.patient_images import PatientImages

#: method of the rows that compare real slices with real slices of other patients
REAL = "real"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row of Tables 2 and 3, or one group of columns of Table 1.

    Attributes:
        key: its name in the config, in the cases and in the tidy table.
        title: heading in the table as the paper has it.
        unit: ``1`` for a number without unit.
        better: the direction of a better value.
        digits: decimals shown.
        factor: what is shown is the value times this; CSV files hold the value.
        scale: on which its mean over patients is closer to normal, see :mod:`pivm.evaluation.intervals`.
        order: place among the columns of the cases; metrics of the same order stand by key.
    """

    key: str
    title: str
    unit: str = "1"
    better: Literal["lower", "higher"]
    digits: int = 3
    factor: float = 1
    scale: Scale = "identity"
    order: int = 100

    @property
    def heading(self) -> str:
        """Title with what the shown number counts in."""
        if self.factor == 100:
            return f"{self.title} (%)"
        times = f" × {self.factor:g}" if self.factor != 1 else ""
        return f"{self.title}{times}{f' ({self.unit})' if self.unit != '1' else ''}"

    def shown(self, value: float) -> str:
        """A value as the tables show it."""
        return f"{self.factor * value:.{self.digits}f}"


@dataclass(frozen=True, kw_only=True)
class SegmentationMetric(Metric):
    """A metric of Tables 2 and 3, per patient and class.

    Attributes:
        compute: of the masks of a class in a patient; None where the metric is not defined for them.
        cases: the classes that it is defined for, a clause for the note below a table.
    """

    compute: Callable[[ClassMasks], float | None]
    cases: str


@dataclass(frozen=True, kw_only=True)
class ImageMetric(Metric):
    """A metric of Table 1.

    Attributes:
        note: what the number is, for the note below the table.
        features: it reads the features of the extractor.
        paired: it needs slices of one label map; one that does not is also taken between real slices of two patients.
        companions: keys of metrics that are computed along with it and stand in the note below the table.
        extractor: the only extractor on which it is what its name says; None: any.
        renamed: extractor -> key of the metric that this one is called on it.
    """

    note: str
    features: bool = False
    paired: bool = True
    companions: tuple[str, ...] = ()
    extractor: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PatientMetric(ImageMetric):
    """A metric of Table 1 with one value per patient.

    Attributes:
        compute: of the slices of one patient.
    """

    compute: Callable[[PatientImages], float]


@dataclass(frozen=True, kw_only=True)
class PooledMetric(ImageMetric):
    """A metric of Table 1 that is taken over all patients together.

    Attributes:
        compute: of the slices of several patients.
    """

    compute: Callable[[Sequence[PatientImages]], float]


AnyMetric = TypeVar("AnyMetric", bound=Metric)


def find_metrics(package: str, path: Iterable[str], kind: type[AnyMetric]) -> dict[str, AnyMetric]:
    """The entries of a package by key, in their order.

    Args:
        package: its name.
        path: its ``__path__``.
        kind: the class of its entries.

    Raises:
        TypeError: a module without an entry of this kind, or with one of another name than its own.
    """
    metrics = []
    for module in pkgutil.iter_modules(path):
        metric = getattr(importlib.import_module(f"{package}.{module.name}"), "METRIC", None)
        if not isinstance(metric, kind) or metric.key != module.name:
            raise TypeError(f"{package}.{module.name}: expected METRIC, a {kind.__name__} with key={module.name!r}")
        metrics.append(metric)
    return {metric.key: metric for metric in sorted(metrics, key=lambda m: (m.order, m.key))}
