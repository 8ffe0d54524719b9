"""The config: validated against its schema with messages for people, and resolved per generator."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, validators

from pivm.datasets.settings import check_dataset
from pivm.errors import ConfigError, nearest
from pivm.evaluation.image_metrics import IMAGE_METRICS, shown_metrics, with_companions
from pivm.evaluation.metrics import REAL
from pivm.evaluation.segmentation_metrics import SEGMENTATION_METRICS
from pivm.evaluation.settings import ExtractorSettings
from pivm.generators import CONTROLS, SHARED_SECTIONS
from pivm.generators.maisi.sizes import require_sizes
from pivm.generators.sampler_file import misfit
from pivm.labels import LabelSet
from pivm.settings import read_settings

#: how a generator came about that was not trained here
RELEASED = "released weights, trained on scans that may include test patients"
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


def validate(config: dict, schema_file: Path) -> None:
    """Check a merged config.

    Raises:
        ConfigError: the first wrong key, type or value, with what was found, what is allowed and, for a name,
            the nearest right one.
    """
    schema = yaml.safe_load(Path(schema_file).read_text())
    errors = sorted(_Validator(schema).iter_errors(config), key=lambda e: (len(e.path), str(e.path)))
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
            hint = f"; YAML reads {found} as text, write {float(found):.1e}"
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


def _cross_check(config: dict) -> None:
    """What a schema cannot say: names that must point to something."""
    _one_of(config, "dataset", config["dataset"], config["datasets"])
    tables = config["tables"]
    for name in tables["generators"]:
        _one_of(config, "tables.generators", name, config["generators"])
    for name in tables["controls"]:
        _one_of(config, "tables.controls", name, [n for n, g in config["generators"].items() if g["kind"] in CONTROLS])
        if name in tables["generators"]:
            raise ConfigError("tables.controls", f"{name!r} is in tables.generators already")
    _one_of(config, "tables.generated", tables["generated"], config["generators"])
    for metric in tables["metrics"]:
        _one_of(config, "tables.metrics", metric, SEGMENTATION_METRICS)
    _check_image_metrics(config)
    labels = LabelSet.from_config(config["labels"])
    check_dataset(config["dataset"], config["datasets"][config["dataset"]], labels.names)
    for organ in config["selection"]["organs"]:
        _one_of(config, "selection.organs", organ, labels.names)
    low, high = config["selection"]["axial_slices"]
    if low > high:
        raise ConfigError("selection.axial_slices", f"found [{low}, {high}], expected [fewest, most]")
    for key in ("organ_hu", "spacing_mm"):
        low, high = config["quality"][key]
        if low >= high:
            raise ConfigError(f"quality.{key}", f"found [{low}, {high}], expected [smallest, largest]")
    for name in ("original", "combined", "generated", REAL):
        if name in config["generators"]:
            raise ConfigError(f"generators.{name}", "this name is taken by a column or row of the tables")
    for section, key in (("segmentation", "window"), ("tables", "image_window")):
        low, high = config[section][key]
        if low >= high:
            raise ConfigError(f"{section}.{key}", f"found [{low}, {high}], expected [low, high] in HU")
    for name in config["generators"]:
        generator_settings(config, name)
    ablation_methods(config)
    for name in {*table_generators(config), tables["generated"]}:
        for organ in LabelSet.from_config(config["generators"][name].get("labels", config["labels"])).names:
            _one_of(config, f"generators.{name}.labels", organ, labels.names)


def _check_image_metrics(config: dict) -> None:
    key, tables = "tables.image_metrics", config["tables"]
    network = _extractor(tables)
    for name in tables["image_metrics"]:
        _one_of(config, key, name, IMAGE_METRICS)
        if (needed := IMAGE_METRICS[name].extractor) and needed != network:
            raise ConfigError(key, f"{name!r} is taken on features of {needed}, but tables.extractor says {network}")


def _one_of(config: dict, key: str, name: str, known) -> None:
    if name not in known:
        raise ConfigError(key, f"unknown {name!r}{nearest(name, known)}, expected one of {', '.join(known)}")


def generator_settings(config: dict, name: str) -> dict:
    """The settings of one generator: the shared section of its kind, overridden by its own."""
    own = copy.deepcopy(config["generators"][name])
    shared = copy.deepcopy(config[own["kind"]]) if own["kind"] in SHARED_SECTIONS else {}
    for section, values in own.pop("overrides", {}).items():
        shared[section].update(values)
    settings = {"name": name, **own, **shared}
    if own["kind"] == "diffusion":
        if settings["noise"]["prediction"] == "epsilon" and settings["noise"]["zero_terminal_snr"]:
            raise ConfigError(
                "diffusion.noise.prediction",
                f"generator {name!r} predicts epsilon, which says nothing of the image at a step of pure noise; set "
                "zero_terminal_snr: false, or predict v or sample",
            )
        if wrong := misfit(settings):
            raise ConfigError(f"diffusion.sampler.{wrong[0]}", wrong[1])
        _require_size(config["image"]["size"], settings["network"]["channels"])
    if own["kind"] == "maisi":
        require_sizes(settings, config["image"]["size"])
    return settings


def training_settings(config: dict, name: str) -> dict:
    """What the weights of a generator depend on: its settings without those of the sampler."""
    return {key: value for key, value in generator_settings(config, name).items() if key != "sampler"}


def sampler_settings(config: dict, name: str) -> dict:
    """How a generator samples; empty for a kind without a sampler."""
    return generator_settings(config, name).get("sampler", {})


def _require_size(size: int, channels: list[int]) -> None:
    multiple = 2 ** len(channels)
    if size % multiple:
        raise ConfigError(
            "image.size",
            f"found {size}, expected a multiple of {multiple} for the {len(channels)} levels of "
            "diffusion.network.channels",
        )


def table_generators(config: dict) -> list[str]:
    """The columns of Tables 1 and 2: the learnt generators, then the controls."""
    return [*config["tables"]["generators"], *config["tables"]["controls"]]


def image_metrics(config: dict) -> list[str]:
    """Keys of the metrics of Table 1, its columns first, then those in the note below it."""
    tables = config["tables"]
    return [m.key for m in with_companions(shown_metrics(tables["image_metrics"], _extractor(tables)))]


def _extractor(tables: dict) -> str:
    return read_settings(ExtractorSettings, tables["extractor"], "tables.extractor").network


def ablation_methods(config: dict) -> dict[str, str]:
    """Method -> generator of the ablation; empty where the run's labels are not more than the 13.

    Raises:
        ConfigError: the pair is not one generator that knows all labels and the same one with 13.
    """
    full, few = config["tables"]["ablation"]
    for name in (full, few):
        _one_of(config, "tables.ablation", name, config["generators"])
    all_labels, few_labels = (LabelSet.from_config(value) for value in (config["labels"], 13))
    first, second = dict(config["generators"][full]), dict(config["generators"][few])
    if "labels" in first or second.pop("labels", None) != 13 or first != second:
        raise ConfigError(
            "tables.ablation", f"found [{full}, {few}], expected a generator and the same one with `labels: 13`"
        )
    if not set(few_labels.names) < set(all_labels.names):
        return {}
    return {f"labels_{len(all_labels)}": full, "labels_13": few}


def weights_note(config: dict, names: list[str]) -> str:
    """Which generators of a table could come with released weights, and whether they did; empty where none could."""
    own = {name: config["generators"][name] for name in names if name in config["generators"]}
    maisi = {name: settings for name, settings in own.items() if settings["kind"] == "maisi"}
    ways = {name: RELEASED if s.get("weights") else "trained from scratch on this split" for name, s in maisi.items()}
    return "".join(f" Weights of {name}: {way}." for name, way in ways.items())
