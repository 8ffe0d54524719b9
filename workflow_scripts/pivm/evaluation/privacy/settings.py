"""Config section ``privacy``."""

from __future__ import annotations

from dataclasses import dataclass

from pivm.settings import setting

#: over-trained generators that the audit must find to copy
CONTROLS = ("few_patients", "repeated_patient")


@dataclass(frozen=True)
class ControlSettings:
    """Config section ``privacy.controls``: generators that are trained for too long on too few."""

    generator: str = setting(
        "the entry of `generators` that they are copies of, of a kind that is trained at once",
        "pivm",
        pattern="^[A-Za-z0-9]",
    )
    channels: tuple[int, ...] = setting(
        "of their network, which may be small, as diffusion.network.channels",
        (24, 32, 48),
        minimum=8,
        multiple_of=2,
        min_items=2,
    )
    patients: int = setting("patients that few_patients learns from", 2, minimum=1)
    repeats: int = setting("times that one patient comes among all others, of repeated_patient", 20, minimum=2)
    steps: int = setting("of the training of each, at least", 4000, minimum=1)


@dataclass(frozen=True)
class PrivacySettings:
    """Config section ``privacy``."""

    copy_percentile: float = setting(
        "a slice is a copy where it is nearer to a training slice than this percentile of fresh ones",
        1.0,
        above=0,
        below=50,
    )
    near_percentile: float = setting("the same, less strict; shown beside it", 5.0, above=0, below=50)
    noise_levels: tuple[float, ...] = setting(
        "of the membership attack, as shares of the noise steps",
        (0.1, 0.3, 0.5, 0.7, 0.9),
        above=0,
        maximum=1,
        min_items=1,
        unique=True,
    )
    noise_draws: int = setting("of the noise at each level", 2, minimum=1)
    controls: ControlSettings = ControlSettings()
