"""The folder of a trained generator, which travels: weights, settings, organ means, and what it was trained on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pivm.cohort.prior import Prior
from pivm.errors import ConfigError, StateError
from pivm.generators.kinds import Kind, kind_of, training_settings
from pivm.generators.sampler_file import read_sampler
from pivm.learning.model_files import load_facts, load_weights, save_model
from pivm.settings import plain, read_settings

if TYPE_CHECKING:
    from pivm.generators.protocol import Generator, Keepable

#: of the folder; raised when what is in it changes
FORMAT = 5


@dataclass(frozen=True)
class BelowMm:
    """How far below a training slice the one lies that a generator is shown with it, mm: one voxel of the scan.

    Attributes:
        median: over the training scans.
        low: a tenth of them have less.
        high: a tenth of them have more.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class TrainedOn:
    """What a generator was trained on.

    Attributes:
        patients: names of the training patients; empty for released weights.
        seed: of the config.
        image_size: pixels per side of a slice.
        data: file name -> SHA-256 of the split and the slices, or of released checkpoints.
        below_mm: from a training slice to the one below; ``None`` for released weights.
    """

    patients: tuple[str, ...]
    seed: int
    image_size: int
    data: dict[str, str]
    below_mm: BelowMm | None = None


@dataclass(frozen=True)
class ModelFolder:
    """A folder of a trained generator that was opened: its facts and organ means are read, its weights are not.

    Attributes:
        folder: where it lies.
        kind: of its generator.
        settings: resolved settings, sampler included.
        organs: label set that it was trained for, in order.
        trained_on: patients, seed, size and hashes.
        made: ``code``, hash of the code that made it, and ``versions`` (:func:`pivm.job.made`).
        prior: organ means.
    """

    folder: Path
    kind: Kind
    settings: Any
    organs: tuple[str, ...]
    trained_on: TrainedOn
    made: dict[str, Any]
    prior: Prior

    @classmethod
    def open(cls, folder: Path | str) -> ModelFolder:
        """Read ``model.json``, ``sampler.json`` and ``prior.json``.

        Raises:
            StateError: the folder holds no generator of a known kind, one of another version of its format, or files
                that do not go together.
        """
        folder = Path(folder)
        facts = load_facts(folder)
        entry = facts["settings"] if isinstance(facts.get("settings"), dict) else {}
        try:
            kind = kind_of(entry, "settings")
        except ConfigError as error:
            raise StateError(f"{folder}/model.json: no generator: {error}") from None
        if facts.get("format") != FORMAT:
            raise StateError(
                f"{folder}/model.json: format {facts.get('format')!r}, this version reads format {FORMAT}: train the "
                "generator again"
            )
        settings = _settings(folder, kind, entry)
        trained_on = TrainedOn(
            tuple(_fact(folder, facts, "patients", list)),
            _fact(folder, facts, "seed", int),
            _fact(folder, facts, "image_size", int),
            _fact(folder, facts, "data", dict),
            _below(folder, facts),
        )
        organs, made = tuple(_fact(folder, facts, "organs", list)), _fact(folder, facts, "made", dict)
        prior = Prior.load(folder / "prior.json")
        if organs != prior.organs:
            raise StateError(
                f"{folder}: model.json and prior.json name other organs, so they are of two models: copy both"
            )
        return cls(folder, kind, settings, organs, trained_on, made, prior)

    def load(self, device: torch.device) -> Generator:
        """The generator with its weights.

        Raises:
            StateError: the weights are missing, truncated or of other settings.
        """
        generator = self.kind.load()(self.settings, self.prior, device)
        generator.put(load_weights(self.folder), self.folder)
        return generator

    def require_fit(self, organs: tuple[str, ...], size: int) -> None:
        """Raises StateError where the generator was trained on another label set or image size."""
        trained = self.trained_on.image_size
        if trained != size:
            raise StateError(
                f"{self.folder}: trained on slices of {trained} x {trained} pixels, asked for {size} x {size}; set "
                f"image.size: {trained}, or delete the folder to train it anew"
            )
        if self.organs != tuple(organs):
            lacking, besides = set(organs) - set(self.organs), set(self.organs) - set(organs)
            raise StateError(
                f"{self.folder}: trained on another label set: it lacks {', '.join(sorted(lacking)) or 'none'} and has "
                f"{', '.join(sorted(besides)) or 'none'} besides, or another order; set `labels` as in its model.json"
            )


def _settings(folder: Path, kind: Kind, entry: dict[str, Any]) -> Any:
    entry, sampler = kind.with_earlier(entry), read_sampler(folder, kind)
    if sampler is not None:
        entry = {**entry, "sampler": plain(sampler)}
    try:
        settings = read_settings(kind.settings, entry, "settings", complete=True)
    except ConfigError as error:
        raise StateError(f"{folder}/model.json: {error}: train the generator again") from None
    if wrong := kind.misfit(settings):
        raise StateError(f"{folder}/sampler.json: {wrong.key}: {wrong.problem}")
    return settings


def _fact(folder: Path, facts: dict[str, Any], key: str, kind: type) -> Any:
    if not isinstance(facts.get(key), kind):
        raise StateError(f"{folder}/model.json: {key} is missing or of another type: train the generator again")
    return facts[key]


def _below(folder: Path, facts: dict[str, Any]) -> BelowMm | None:
    given = facts.get("below_mm", {})
    names = [field.name for field in dataclasses.fields(BelowMm)]
    if given is None:
        return None
    if not isinstance(given, dict) or sorted(given) != sorted(names):
        raise StateError(f"{folder}/model.json: below_mm is {given!r}, expected {', '.join(names)} in mm, or null")
    values = [given[name] for name in names]
    if not all(type(value) in (int, float) and value > 0 for value in values):
        raise StateError(f"{folder}/model.json: below_mm is {given!r}, expected lengths above 0 mm")
    return BelowMm(**given)


def save_generator(generator: Keepable, folder: Path, trained_on: TrainedOn, made: dict[str, Any], **more: Any) -> None:
    """Write the folder of a generator; ``sampler.json`` is written by itself, without a training.

    Args:
        generator: a trained one.
        folder: receives ``model.safetensors``, ``model.json`` and ``prior.json``.
        trained_on: patients, seed, size and hashes.
        made: code and versions (:func:`pivm.job.made`).
        more: facts of the kind's own.
    """
    facts = {
        "format": FORMAT,
        "settings": training_settings(generator.settings),
        "organs": generator.prior.organs,
        "made": made,
        **dataclasses.asdict(trained_on),
        **more,
    }
    save_model(folder, generator.weights(), facts)
    generator.prior.save(Path(folder) / "prior.json")
