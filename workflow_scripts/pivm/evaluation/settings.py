"""Section ``tables`` of the config: what the tables show and how it is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pivm.settings import setting

#: feature extractor -> its name in the literature
EXTRACTORS = {"inception": "Inception v3", "efficientnet_lite0": "EfficientNet-Lite0"}


@dataclass(frozen=True)
class ExtractorSettings:
    """Network whose features the Fréchet distance and KID compare."""

    name: Literal["auto", "inception", "efficientnet_lite0"] = setting(
        "inception (the FID), efficientnet_lite0, or auto: inception where weights names a file", "auto"
    )
    weights: str | None = setting(
        "file with weights; null: the packaged ones, or for inception those that torch-fidelity names",
        None,
        pattern=r"\S",
    )

    @property
    def network(self) -> str:
        """Key of :data:`EXTRACTORS`; ``auto`` is Inception where its weights are given."""
        if self.name == "auto":
            return "inception" if self.weights else "efficientnet_lite0"
        return self.name


@dataclass(frozen=True)
class AblationSettings:
    """The pair that the target `ablation` compares (paper, section 3.5): a generator and its twin with fewer labels."""

    of: str = setting("the generator, which knows all labels of the run", "pivm")
    labels: Literal[13] = setting("how many of them the twin knows, the same otherwise and named <of>_<labels>", 13)


@dataclass(frozen=True)
class TableSettings:
    """Columns, metrics and statistics of the tables."""

    generators: tuple[str, ...] = setting(
        "columns of Tables 1 and 2", ("cddpm", "maisi", "pivm"), min_items=1, unique=True
    )
    controls: tuple[str, ...] = setting(
        "more columns, of generators without training", ("prior", "gaussian"), unique=True
    )
    ablation: AblationSettings = AblationSettings()
    generated: str = setting("the generator behind generated and combined in Table 3", "pivm")
    metrics: tuple[str, ...] = setting(
        "rows of Tables 2 and 3",
        (
            "hausdorff_distance",
            "hausdorff_distance_95",
            "average_surface_distance",
            "miou",
            "dice",
            "missed",
            "invented",
        ),
        min_items=1,
        unique=True,
    )
    image_metrics: tuple[str, ...] = setting(
        "columns of Table 1", ("ssim", "frechet_distance"), min_items=1, unique=True
    )
    confidence: float = setting("of the intervals, over patients and seeds", 0.95, above=0, below=1)
    image_patients: int = setting("test patients of Table 1", 10, minimum=1)
    image_window: tuple[float, float] = setting(
        "HU that image metrics and the extractor see", (-200, 300), minimum=-2048, maximum=4096
    )
    extractor: ExtractorSettings = ExtractorSettings()
