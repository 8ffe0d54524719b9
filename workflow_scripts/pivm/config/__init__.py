"""The config: validated against its schema with messages for people, and resolved per generator."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, validators

from pivm.cohort.prior import KINDS as PRIOR_KINDS
from pivm.cohort.selection import SelectionSettings
from pivm.cohort.split import SplitSettings
from pivm.config.ablation import generators
from pivm.config.messages import explain
from pivm.config.texts import read_texts
from pivm.datasets import check_dataset, dataset_schema
from pivm.errors import ConfigError, nearest
from pivm.evaluation.image_metrics import IMAGE_METRICS, shown_metrics, with_companions
from pivm.evaluation.metrics import REAL
from pivm.evaluation.privacy.settings import PrivacySettings
from pivm.evaluation.segmentation_metrics import SEGMENTATION_METRICS
from pivm.evaluation.settings import ExtractorSettings, TableSettings
from pivm.generators.kinds import Kind, kind_of, kinds
from pivm.generators.kinds import training_settings as without_sampler
from pivm.labels import LabelSet
from pivm.learning.settings import ComputeSettings
from pivm.scans.quality import QualitySettings
from pivm.segmentation import settings as segmentation
from pivm.segmentation.arms import EvidenceSettings
from pivm.segmentation.nnunet import NnunetSettings
from pivm.settings import plain, read_settings, schema_of, setting
from pivm.synthesis.settings import SynthesisSettings


@dataclass(frozen=True)
class ImageSettings:
    """Config section ``image``."""

    size: int = setting("pixels per side of a standardised slice", 64, minimum=16, maximum=1024)


#: section of the config -> its settings; the kinds of generators add theirs
SECTIONS = {
    "image": ImageSettings,
    "selection": SelectionSettings,
    "quality": QualitySettings,
    "split": SplitSettings,
    "synthesis": SynthesisSettings,
    "segmentation": segmentation.SegmentationSettings,
    "evidence": EvidenceSettings,
    "nnunet": NnunetSettings,
    "privacy": PrivacySettings,
    "tables": TableSettings,
    "compute": ComputeSettings,
}
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$"}


def _is_whole(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    return _is_whole(_, value) or (isinstance(value, float) and math.isfinite(value))


#: as Draft202012Validator, but 40.0 is no whole number, and neither .nan nor .inf a number
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_whole, "number": _is_number}),
)


def validate(config: dict[str, Any]) -> None:
    """Check a merged config; texts where a number, true, false or null is wanted are read as such, in place.

    Raises:
        ConfigError: the first wrong key, type or value, with what was found, what is allowed and, for a name,
            the nearest right one.
    """
    whole = schema()
    read_texts(config, whole)
    errors = sorted(_Validator(whole).iter_errors(config), key=lambda e: (len(e.path), str(e.path)))
    if errors:
        raise explain(errors[0])
    _cross_check(config)


def schema() -> dict[str, Any]:
    """JSON Schema of the whole config, derived from the settings of stages, layouts and kinds."""
    sections = {name: schema_of(settings) for name, settings in SECTIONS.items()}
    sections |= {kind.name: kind.section_schema() for kind in kinds().values() if kind.sections}
    datasets = {"type": "object", "propertyNames": _NAME, "additionalProperties": dataset_schema()}
    properties = {
        "dataset": _NAME,
        "datasets": datasets,
        "results": {"type": "string", "pattern": r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$"},
        "generator_seeds": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 1,
            "uniqueItems": True,
        },
        "labels": {"type": ["integer", "array"], "items": {"type": "string"}},
        "prior": {"enum": list(PRIOR_KINDS)},
        "generators": _generators_schema(),
        **sections,
    }
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(properties)}


def _generators_schema() -> dict[str, Any]:
    """An entry is checked as its kind says."""
    checks = [
        {"if": {"required": ["kind"], "properties": {"kind": {"const": name}}}, "then": kind.entry_schema()}
        for name, kind in kinds().items()
    ]
    entry = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": list(kinds())}}, "allOf": checks}
    return {"type": "object", "minProperties": 1, "propertyNames": _NAME, "additionalProperties": entry}


def _cross_check(config: dict[str, Any]) -> None:
    """What a schema cannot say: names that must point to something, and settings that must go together."""
    _one_of("dataset", config["dataset"], config["datasets"])
    tables, entries = config["tables"], generators(config)
    for name in tables["generators"]:
        _one_of("tables.generators", name, entries)
    controls = [name for name, entry in entries.items() if not kinds()[entry["kind"]].learnt]
    for name in tables["controls"]:
        _one_of("tables.controls", name, controls)
        if name in tables["generators"]:
            raise ConfigError("tables.controls", f"{name!r} is in tables.generators already")
    _one_of("tables.generated", tables["generated"], entries)
    for metric in tables["metrics"]:
        _one_of("tables.metrics", metric, SEGMENTATION_METRICS)
    _check_image_metrics(tables)
    _check_selection(config)
    _check_sources(config)
    _check_windows(config)
    _check_generators(config)


def _check_selection(config: dict[str, Any]) -> None:
    labels, selection = LabelSet.from_config(config["labels"]), config["selection"]
    check_dataset(config["dataset"], config["datasets"][config["dataset"]], labels.names)
    for organ in selection["organs"]:
        _one_of("selection.organs", organ, labels.names)
    for key, most, there in (
        ("min_organs", len(selection["organs"]), "selection.organs"),
        ("min_labels_per_slice", len(labels), "labels of the run"),
    ):
        if selection[key] > most:
            raise ConfigError(f"selection.{key}", f"found {selection[key]}, expected at most the {most} {there}")
    low, high = selection["axial_slices"]
    if low > high:
        raise ConfigError("selection.axial_slices", f"found [{low}, {high}], expected [fewest, most]")


def _check_sources(config: dict[str, Any]) -> None:
    shares = config["synthesis"]["sources"]
    rest = {name: share for name, share in shares.items() if share != "auto"}
    if not sum(rest.values()):
        hint = "for the slices that labels_only: auto leaves, " if "auto" in shares.values() else ""
        raise ConfigError("synthesis.sources", f"found {shares}, {hint}expected at least one share above 0")


def _check_windows(config: dict[str, Any]) -> None:
    for key in ("organ_hu", "spacing_mm"):
        low, high = config["quality"][key]
        if low >= high:
            raise ConfigError(f"quality.{key}", f"found [{low}, {high}], expected [smallest, largest]")
    low, high = config["tables"]["image_window"]
    if low >= high:
        raise ConfigError("tables.image_window", f"found [{low}, {high}], expected [low, high] in HU")
    settings = read_settings(segmentation.SegmentationSettings, config["segmentation"], "segmentation")
    segmentation.check(settings, config["image"]["size"])


def _check_generators(config: dict[str, Any]) -> None:
    labels = LabelSet.from_config(config["labels"])
    for name in generators(config):
        if name in ("original", "combined", "generated", REAL):
            raise ConfigError(f"generators.{name}", "this name is taken by a column or row of the tables")
        kind_named(config, name).check(generator_settings(config, name), config["image"]["size"])
    for name in {*table_generators(config), config["tables"]["generated"]}:
        for organ in LabelSet.from_config(known_labels(config, name) or config["labels"]).names:
            _one_of(f"generators.{name}.labels", organ, labels.names)


def _check_image_metrics(tables: dict[str, Any]) -> None:
    key, network = "tables.image_metrics", _extractor(tables)
    for name in tables["image_metrics"]:
        _one_of(key, name, IMAGE_METRICS)
        if (needed := IMAGE_METRICS[name].extractor) and needed != network:
            raise ConfigError(key, f"{name!r} is taken on features of {needed}, but tables.extractor says {network}")


def _one_of(key: str, name: str, known: Iterable[str]) -> None:
    known = list(known)
    if name not in known:
        raise ConfigError(key, f"unknown {name!r}{nearest(name, known)}, expected one of {', '.join(known)}")


def kind_named(config: dict[str, Any], name: str) -> Kind:
    """The kind of a generator of the config."""
    return kind_of(generators(config)[name], f"generators.{name}")


def generator_settings(config: dict[str, Any], name: str) -> Any:
    """The settings of one generator: the shared section of its kind, overridden by its own.

    Returns:
        An object of the kind's settings class.
    """
    kind = kind_named(config, name)
    return kind.resolve(name, generators(config)[name], config[kind.name] if kind.sections else {})


def known_labels(config: dict[str, Any], name: str) -> int | None:
    """How many of the run's labels a generator knows where that is not all of them."""
    return getattr(generator_settings(config, name), "labels", None)


def training_settings(config: dict[str, Any], name: str) -> dict[str, Any]:
    """What the weights of a generator depend on, as plain values: its settings without those of the sampler."""
    return without_sampler(generator_settings(config, name))


def sampler_settings(config: dict[str, Any], name: str) -> dict[str, Any]:
    """How a generator samples, as plain values; empty for a kind without a sampler."""
    return plain(getattr(generator_settings(config, name), "sampler", {}))


def table_generators(config: dict[str, Any]) -> list[str]:
    """The columns of Tables 1 and 2: the learnt generators, then the controls."""
    return [*config["tables"]["generators"], *config["tables"]["controls"]]


def reference(config: dict[str, Any], table: str) -> str:
    """The column that the others of a table are held against: real slices, or else the generator of ``generated``."""
    if table.startswith(("table3", "label_agreement")):
        return "original"
    shown, generated = table_generators(config), config["tables"]["generated"]
    return generated if generated in shown else config["tables"]["generators"][-1]


def generator_seeds(config: dict[str, Any], name: str) -> list[int]:
    """Seeds of the trainings of a generator; a control, which learns nothing, is made once."""
    seeds = config["generator_seeds"]
    return seeds if kind_named(config, name).learnt else seeds[:1]


def image_metrics(config: dict[str, Any]) -> list[str]:
    """Keys of the metrics of Table 1, its columns first, then those in the note below it."""
    tables = config["tables"]
    return [m.key for m in with_companions(shown_metrics(tables["image_metrics"], _extractor(tables)))]


def _extractor(tables: dict[str, Any]) -> str:
    return read_settings(ExtractorSettings, tables["extractor"], "tables.extractor").network


def weights_note(config: dict[str, Any], names: list[str]) -> str:
    """Which generators of a table could come with released weights, and whether they did; empty where none could."""
    settings = {name: generator_settings(config, name) for name in names if name in generators(config)}
    described = {name: kind_named(config, name).describe(s) for name, s in settings.items() if hasattr(s, "weights")}
    return "".join(f" Weights of {name}: {origin}." for name, origin in described.items())
