"""Settings of kind ``diffusion``: PIVM and its baseline CDDPM are two choices of them (paper, sections 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pivm.errors import ConfigError
from pivm.generators.kinds import GeneratorSettings, Misfit
from pivm.learning.settings import OPTIMIZER_HELP, Optimizer
from pivm.settings import setting


@dataclass(frozen=True)
class NetworkSettings:
    """Size of the denoiser."""

    label_channels: int = setting("width of the label embedding", 12, minimum=1)
    channels: tuple[int, ...] = setting(
        "per level, from half the image size down", (48, 64, 96), minimum=8, multiple_of=2, min_items=2
    )
    blocks: int = setting("residual blocks per level", 1, minimum=1)
    attention: bool = setting("self-attention at the lowest level", True)
    detail_channels: int = setting("width of the path at full resolution", 16, minimum=4)

    @property
    def multiple(self) -> int:
        """Image sides must be a multiple of this."""
        return 2 ** len(self.channels)


@dataclass(frozen=True)
class NoiseSettings:
    """The noise process of the training."""

    steps: int = setting("T", 1000, minimum=2)
    prediction: Literal["v", "epsilon", "sample"] = setting("what the network predicts", "v")
    zero_terminal_snr: bool = setting("the last step is pure noise", True)
    shift: float = setting(
        "factor on signal over noise at every step; below 1 more steps decide the means of organs",
        1.0,
        above=0,
        maximum=1,
    )
    organ_share: float = setting(
        "noise that all pixels of an organ have in common, as a factor on the share of the variance of its HU that is "
        "between scans; 0: none",
        1.0,
        minimum=0,
        maximum=1,
    )
    scale: Literal["global", "organ"] = setting(
        "unit of the variation: one for all pixels, or each label's own spread up to that", "organ"
    )


@dataclass(frozen=True)
class OrganMeansSettings:
    """Whose organ means the prior map holds."""

    means: Literal["dataset", "patient", "regression"] = setting(
        "the data set's (the paper); each patient's own, drawn for a synthetic patient; or, in place of the map, the "
        "mean image that a small network predicts from the labels",
        "dataset",
    )
    shrink_pixels: float = setting(
        "patient: an organ's mean is taken as if so many pixels more had the data set's", 50.0, minimum=0
    )
    components: int = setting("patient: what organs have in common is described by so many factors", 5, minimum=1)
    channels: tuple[int, ...] = setting(
        "regression: width of its network per level, from half the image size down",
        (16, 24, 32),
        minimum=8,
        multiple_of=2,
        min_items=2,
    )
    steps: int = setting(
        "regression: steps of its training, which comes first; many learn patients by heart", 300, minimum=1
    )
    weight_decay: float = setting("regression: of AdamW in this training", 0.1, minimum=0, maximum=100)

    @property
    def network(self) -> NetworkSettings:
        """Size of the network that predicts the mean image."""
        return NetworkSettings(label_channels=8, channels=self.channels, attention=False)


@dataclass(frozen=True)
class SamplerSettings:
    """How a trained network samples; a change makes new slices and trains nothing."""

    name: Literal["dpm++", "ddim", "ddpm"] = setting("DPM-Solver++ 2M, DDIM, or DDPM (the reference)", "dpm++")
    steps: int = setting("network evaluations per slice", 5, minimum=1)
    spacing: float = setting(
        "exponent of the share of the noise that is left at these evaluations: 1 evenly, below 1 closer at high noise",
        0.6,
        above=0,
        maximum=10,
    )
    organ_spread: float = setting(
        "factor on what the pixels of an organ share of the start noise: above 1 patients differ more",
        1.0,
        minimum=0,
        maximum=10,
    )
    guidance: float = setting("classifier-free; above 1 every step takes two evaluations", 1.0, minimum=1, maximum=100)
    reach: float = setting(
        "volumes: start noise stays alike along z over so many wavelengths of its pattern", 0.1, minimum=0, maximum=1000
    )
    previous_from: float = setting(
        "volumes: the slice below is shown from this share of the noise steps on", 0.6, minimum=0, maximum=1
    )
    prior_draw: Literal["drawn", "mean"] = setting(
        "where `prior.means` is patient: organ means drawn for each synthetic patient, or their mean for all", "drawn"
    )


@dataclass(frozen=True)
class ConditionSettings:
    """What a training step shows of the conditions, as shares of slices or steps."""

    drop_previous: float = setting("share of training slices not shown the slice below", 0.5, minimum=0, maximum=1)
    noise_previous: float = setting(
        "the slice below gets noise of a random spread up to this, in units of the variation",
        0.2,
        minimum=0,
        maximum=10,
    )
    model_previous: float = setting(
        "share of steps where the slice below is the model's own estimate", 0.2, minimum=0, maximum=1
    )
    drop_labels: float = setting(
        "share of training slices shown neither labels nor prior map, for guidance", 0.0, minimum=0, below=1
    )


@dataclass(frozen=True)
class TrainingSettings(ConditionSettings):
    """The training (paper, section 3.2)."""

    batch: int = setting("slices per step", 4, minimum=1)
    epochs: int = setting("passes over the training slices; those beyond split.annotated count", 20, minimum=1)
    optimizer: Optimizer = setting(OPTIMIZER_HELP, "muon")
    learning_rate: float = setting("initial rate of the optimiser", 3.0e-3, above=0, maximum=1)
    halve_every_epochs: int = setting("epochs between halvings of the rate, 0 for never", 6, minimum=0)
    betas: tuple[float, float] = setting("of AdamW", (0.9, 0.99), minimum=0, below=1)
    ema_decay: float = setting("of the moving average of the weights", 0.995, minimum=0, below=1)


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings(GeneratorSettings):
    """Resolved settings of one generator of this kind."""

    target: Literal["variation", "absolute"] = setting("v = x - I, or absolute HU")
    condition: tuple[Literal["labels", "prior", "previous"], ...] = setting(
        "what the network is shown: labels, prior map, the slice below", unique=True, contains={"const": "labels"}
    )
    labels: Literal[34, 13] | None = setting("of the run's labels those that it knows; null: all", None)
    prior: OrganMeansSettings = OrganMeansSettings()
    network: NetworkSettings = NetworkSettings()
    noise: NoiseSettings = NoiseSettings()
    sampler: SamplerSettings = SamplerSettings()
    training: TrainingSettings = TrainingSettings()


def check(settings: DiffusionSettings, image_size: int) -> None:
    """Settings that cannot go together.

    Args:
        settings: of one generator.
        image_size: pixels per side of a slice.

    Raises:
        ConfigError: epsilon at a step of pure noise, a prior map of another kind that the network never meets, a
            sampler that the training does not allow, or an image that the levels of a network cannot halve.
    """
    if settings.noise.prediction == "epsilon" and settings.noise.zero_terminal_snr:
        raise ConfigError(
            "diffusion.noise.prediction",
            f"generator {settings.name!r} predicts epsilon, which says nothing of the image at a step of pure noise; "
            "set zero_terminal_snr: false, or predict v or sample",
        )
    means = settings.prior.means
    if means != "dataset" and settings.target == "absolute" and "prior" not in settings.condition:
        raise ConfigError(
            "diffusion.prior.means",
            f"found {means!r}, but generator {settings.name!r} neither subtracts a prior map nor is shown one; set "
            "`target: variation`, add prior to its condition, or means: dataset",
        )
    if wrong := misfit(settings):
        raise ConfigError(f"diffusion.sampler.{wrong.key}", wrong.problem)
    networks = {"network": settings.network} | ({"prior": settings.prior.network} if means == "regression" else {})
    for section, network in networks.items():
        if image_size % network.multiple:
            raise ConfigError(
                "image.size",
                f"found {image_size}, expected a multiple of {network.multiple} for the {len(network.channels)} levels "
                f"of diffusion.{section}.channels",
            )


def misfit(settings: DiffusionSettings) -> Misfit | None:
    """What of the sampler does not go with the training."""
    sampler, noise_steps = settings.sampler, settings.noise.steps
    if sampler.steps > noise_steps:
        return Misfit("steps", f"found {sampler.steps}, expected at most the {noise_steps} steps of `noise.steps`")
    if sampler.name == "ddpm" and settings.noise.organ_share:
        return Misfit(
            "name",
            f"found 'ddpm', which adds white noise at every step, but generator {settings.name!r} learnt with "
            "noise.organ_share; take dpm++ or ddim",
        )
    if sampler.guidance > 1 and not settings.training.drop_labels:
        return Misfit(
            "guidance",
            f"found {sampler.guidance}, but generator {settings.name!r} never learns to go without labels; set "
            "training.drop_labels, for example to 0.1, and train it, or guidance: 1",
        )
    return None


def describe(settings: DiffusionSettings) -> str:
    """Target, conditions and prior."""
    text = f"target `{settings.target}`, conditioned on {', '.join(settings.condition)}"
    around = {"patient": ", around organ means of each patient", "regression": ", around a learnt mean image"}
    return text + around.get(settings.prior.means, "")
