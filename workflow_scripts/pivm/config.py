"""The config: validated against its schema with messages for people, and resolved per generator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, validators

from pivm.cohort.prior import KINDS as PRIOR_KINDS
from pivm.cohort.selection import SelectionSettings
from pivm.cohort.split import SplitSettings
from pivm.datasets import check_dataset, dataset_schema
from pivm.errors import ConfigError, nearest
from pivm.evaluation.image_metrics import IMAGE_METRICS, shown_metrics, with_companions
from pivm.evaluation.metrics import REAL
from pivm.evaluation.segmentation_metrics import SEGMENTATION_METRICS
from pivm.evaluation.settings import ExtractorSettings, TableSettings
from pivm.generators.kinds import Kind, kind_of, kinds
from pivm.generators.kinds import training_settings as without_sampler
from pivm.labels import LabelSet
from pivm.learning.settings import ComputeSettings
from pivm.scans.quality import QualitySettings
from pivm.segmentation import settings as segmentation
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
    "tables": TableSettings,
    "compute": ComputeSettings,
}
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$"}

#: as Draft202012Validator, but 40.0 is no whole number: what counts or names a size is used as such
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def validate(config: dict[str, Any]) -> None:
    """Check a merged config.

    Raises:
        ConfigError: the first wrong key, type or value, with what was found, what is allowed and, for a name,
            the nearest right one.
    """
    errors = sorted(_Validator(schema()).iter_errors(config), key=lambda e: (len(e.path), str(e.path)))
    if errors:
        raise _explain(errors[0])
    _cross_check(config)


def _explain(error) -> ConfigError:
    while error.context:  # anyOf: the branch that got furthest says most
        error = max(error.context, key=lambda e: (len(e.absolute_path), e.validator != "type"))
    key = ".".join(str(p) for p in error.absolute_path) or "(top level)"
    found, allowed = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        wrong = next(k for k in found if k not in known)
        inside = f"{key}.{wrong}" if error.absolute_path else str(wrong)
        return ConfigError(inside, f"unknown key{nearest(wrong, known)}; allowed here: {', '.join(known)}")
    if error.validator == "required":
        lacking = next(k for k in allowed if k not in found)
        return ConfigError(key, f"the key {lacking!r} is missing")
    if error.validator == "enum":
        return ConfigError(
            key, f"found {found!r}{nearest(found, allowed)}, expected one of {', '.join(map(str, allowed))}"
        )
    if error.validator == "type":
        names = [allowed] if isinstance(allowed, str) else allowed
        hint = ""
        if isinstance(found, str) and "number" in names and _is_number(found):
            exponent = "e" in found.lower()
            hint = f"; YAML reads {found} as text, write {float(found):.1e}" if exponent else ""
            hint = hint or "; numbers nested in --config arrive as text, put them into a file for --configfile"
        if comment := error.schema.get("$comment"):
            hint = f" ({comment})"
        return ConfigError(key, f"found {found!r}, expected {' or '.join(_TYPES[n] for n in names)}{hint}")
    if error.validator in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        sign = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}[error.validator]
        return ConfigError(key, f"found {found!r}, expected {sign} {allowed}")
    return ConfigError(key, f"found {found!r}: {error.message}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def schema() -> dict[str, Any]:
    """JSON Schema of the whole config, derived from the settings of stages, layouts and kinds."""
    sections = {name: schema_of(settings) for name, settings in SECTIONS.items()}
    sections |= {kind.name: kind.section_schema() for kind in kinds().values() if kind.sections}
    datasets = {"type": "object", "propertyNames": _NAME, "additionalProperties": dataset_schema()}
    properties = {
        "dataset": _NAME,
        "datasets": datasets,
        "results": {"type": "string", "minLength": 1},
        "seed": {"type": "integer", "minimum": 0},
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
    tables, generators = config["tables"], config["generators"]
    for name in tables["generators"]:
        _one_of("tables.generators", name, generators)
    controls = [name for name, entry in generators.items() if not kinds()[entry["kind"]].learnt]
    for name in tables["controls"]:
        _one_of("tables.controls", name, controls)
        if name in tables["generators"]:
            raise ConfigError("tables.controls", f"{name!r} is in tables.generators already")
    _one_of("tables.generated", tables["generated"], generators)
    for metric in tables["metrics"]:
        _one_of("tables.metrics", metric, SEGMENTATION_METRICS)
    _check_image_metrics(tables)
    labels = LabelSet.from_config(config["labels"])
    check_dataset(config["dataset"], config["datasets"][config["dataset"]], labels.names)
    for organ in config["selection"]["organs"]:
        _one_of("selection.organs", organ, labels.names)
    low, high = config["selection"]["axial_slices"]
    if low > high:
        raise ConfigError("selection.axial_slices", f"found [{low}, {high}], expected [fewest, most]")
    for key in ("organ_hu", "spacing_mm"):
        low, high = config["quality"][key]
        if low >= high:
            raise ConfigError(f"quality.{key}", f"found [{low}, {high}], expected [smallest, largest]")
    low, high = tables["image_window"]
    if low >= high:
        raise ConfigError("tables.image_window", f"found [{low}, {high}], expected [low, high] in HU")
    segmentation.check(read_settings(segmentation.SegmentationSettings, config["segmentation"], "segmentation"))
    _check_generators(config, labels)


def _check_generators(config: dict[str, Any], labels: LabelSet) -> None:
    for name in config["generators"]:
        if name in ("original", "combined", "generated", REAL):
            raise ConfigError(f"generators.{name}", "this name is taken by a column or row of the tables")
        kind_named(config, name).check(generator_settings(config, name), config["image"]["size"])
    ablation_methods(config)
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
    return kind_of(config["generators"][name], f"generators.{name}")


def generator_settings(config: dict[str, Any], name: str) -> Any:
    """The settings of one generator: the shared section of its kind, overridden by its own.

    Returns:
        An object of the kind's settings class.
    """
    kind = kind_named(config, name)
    return kind.resolve(name, config["generators"][name], config[kind.name] if kind.sections else {})


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


def image_metrics(config: dict[str, Any]) -> list[str]:
    """Keys of the metrics of Table 1, its columns first, then those in the note below it."""
    tables = config["tables"]
    return [m.key for m in with_companions(shown_metrics(tables["image_metrics"], _extractor(tables)))]


def _extractor(tables: dict[str, Any]) -> str:
    return read_settings(ExtractorSettings, tables["extractor"], "tables.extractor").network


def ablation_methods(config: dict[str, Any]) -> dict[str, str]:
    """Method -> generator of the ablation; empty where the run's labels are not more than the 13.

    Raises:
        ConfigError: the pair is not one generator that knows all labels and the same one with 13.
    """
    full, few = config["tables"]["ablation"]
    for name in (full, few):
        _one_of("tables.ablation", name, config["generators"])
    all_labels, few_labels = (LabelSet.from_config(value) for value in (config["labels"], 13))
    first, second = dict(config["generators"][full]), dict(config["generators"][few])
    if "labels" in first or second.pop("labels", None) != 13 or first != second:
        raise ConfigError(
            "tables.ablation", f"found [{full}, {few}], expected a generator and the same one with `labels: 13`"
        )
    if not set(few_labels.names) < set(all_labels.names):
        return {}
    return {f"labels_{len(all_labels)}": full, "labels_13": few}


def weights_note(config: dict[str, Any], names: list[str]) -> str:
    """Which generators of a table could come with released weights, and whether they did; empty where none could."""
    settings = {name: generator_settings(config, name) for name in names if name in config["generators"]}
    described = {name: kind_named(config, name).describe(s) for name, s in settings.items() if hasattr(s, "weights")}
    return "".join(f" Weights of {name}: {origin}." for name, origin in described.items())
