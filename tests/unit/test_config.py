"""A wrong config names its key, what was found, what is allowed and the nearest right name."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml
from pivm.config import (
    SECTIONS,
    generator_settings,
    sampler_settings,
    schema,
    training_settings,
    validate,
    weights_note,
)
from pivm.config.ablation import ablation_methods, generators
from pivm.errors import ConfigError
from pivm.generators.kinds import kinds
from pivm.labels import ORGANS_13, ORGANS_34, LabelSet
from pivm.settings import plain
from snakemake.utils import update_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def put(config: dict, key: str, value) -> dict:
    config = copy.deepcopy(config)
    *path, last = key.split(".")
    place = config
    for part in path:
        place = place[part]
    place[last] = value
    return config


def test_the_default_config_is_valid(config):
    validate(config)


@pytest.mark.parametrize("overlay", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_overlay_is_valid(config, overlay):
    update_config(config, yaml.safe_load(overlay.read_text()))
    validate(config)


WRONG = [
    ("generators.real", {"kind": "prior_map"}, "generators.real: this name is taken"),
    ("tables.generators", ["pivm", "prior"], "tables.controls: 'prior' is in tables.generators already"),
    ("tables.ablation", ["pivm", "pivm_13"], "tables.ablation: found ['pivm', 'pivm_13'], expected a mapping"),
    ("tables.ablation.labels", 12, "tables.ablation.labels: found 12 (did you mean '13'?), expected one of 13"),
    ("diffusion.noise.prediction", "epsilon", "set zero_terminal_snr: false, or predict v or sample"),
    ("diffusion.network.channels", [49, 64, 96], "diffusion.network.channels.0: found 49"),
    ("generatorseeds", [3], "generatorseeds: unknown key (did you mean 'generator_seeds'?)"),
    ("splt", 3, "splt: unknown key (did you mean 'split'?)"),
    ("split.tset", 3, "split.tset: unknown key (did you mean 'test'?)"),
    ("image.size", "64 px", "image.size: found '64 px', expected a whole number"),
    ("image.size", "64", None),
    ("split.test", 2.7, "split.test: found 2.7, expected a whole number (from 1 on; below 1 it is a share)"),
    ("split.val", 4.0, "split.val: found 4.0, expected a whole number (from 1 on; below 1 it is a share)"),
    ("split.val", 1.0, "split.val: found 1.0, expected a whole number"),
    ("split.test", -0.1, "split.test: found -0.1, expected > 0"),
    ("split.test", 0.999, None),
    ("split.val", 0, None),
    ("synthesis.slices", "as real", "synthesis.slices: found 'as real'"),
    ("synthesis.slices", 0, "synthesis.slices: found 0, expected >= 1"),
    ("synthesis.slices", 7, None),
    ("image.size", 8, "image.size: found 8, expected >= 16"),
    ("image.size", 60, "image.size: found 60, expected a multiple of 16"),
    ("prior", "bdy", "prior: found 'bdy' (did you mean 'body'?), expected one of body, paper"),
    ("diffusion.training.learning_rate", "1e-4", None),
    ("diffusion.training.betas", [0.9, 1.0], "diffusion.training.betas.1: found 1.0, expected < 1"),
    ("diffusion.sampler.steps", 1001, "diffusion.sampler.steps: found 1001, expected at most the 1000 steps"),
    (
        "diffusion.sampler.guidance",
        2.0,
        "generator 'cddpm' never learns to go without labels; set",
    ),
    ("diffusion.sampler.name", "dpm", "diffusion.sampler.name: found 'dpm' (did you mean 'd"),
    ("diffusion.network.chanels", [8], "diffusion.network.chanels: unknown key (did you mean 'channels'?)"),
    ("dataset", "phantoms", "dataset: unknown 'phantoms' (did you mean 'phantom'?)"),
    ("datasets.phantom.layout", "totalsegmentor", "(did you mean 'totalsegmentator'?)"),
    ("datasets.phantom.path", None, "datasets.phantom.path: found None, expected a text or a list"),
    ("datasets.mine", {"layout": "totalsegmentator"}, "datasets.mine: the key 'path' is missing"),
    ("datasets.mine", {"layout": "phantom", "path": "x"}, "datasets.mine: the key 'patients' is missing"),
    ("tables.generators", ["pivm", "cdpm"], "tables.generators: unknown 'cdpm' (did you mean 'cddpm'?)"),
    ("tables.generated", "pivn", "tables.generated: unknown 'pivn' (did you mean 'pivm'?)"),
    ("tables.metrics", ["dise"], "tables.metrics: unknown 'dise' (did you mean 'dice'?)"),
    ("labels", ["liver", "liver"], "labels: 'liver' is listed more than once"),
    ("labels", 35, "labels: found 35, expected 34, 13 or a list"),
    ("labels", 13, None),
    ("selection.organs", ["livr"], "selection.organs: unknown 'livr' (did you mean 'liver'?)"),
    ("selection.axial_slices", [600, 100], "selection.axial_slices: found [600, 100]"),
    ("generators.combined", {"kind": "diffusion", "target": "absolute", "condition": ["labels"]}, "is taken"),
    ("generators.pivm.condition", ["prior"], "generators.pivm.condition"),
    ("generators.pivm.overrides", {"sampler": {"step": 5}}, "step: unknown key (did you mean 'steps'?)"),
    ("segmentation.encoder", "resnet19", "segmentation.encoder: unknown 'resnet19' (did you mean 'resnet1"),
    ("segmentation.encoder", "tu-resnet10t", None),
    ("segmentation.encoder", "tu-resnet10x", "segmentation.encoder: unknown 'tu-resnet10x' (did you mean 'tu-resnet1"),
    ("segmentation.encoder", "tu-convnext_atto", None),
    (
        "segmentation.encoder",
        "tu-vit_tiny_patch16_224",
        "'tu-vit_tiny_patch16_224' makes no U-Net of segmentation.depth 4",
    ),
    ("segmentation.encoder", "tu-vit_tiny_patch16_224", "choose another encoder"),
    ("segmentation.depth", 3, "segmentation.decoder_channels: found [128, 64, 32, 16], expected 3 widths"),
    ("selection.min_organs", 7, "selection.min_organs: found 7, expected at most the 6 selection.organs"),
    ("selection.min_labels_per_slice", 99, "found 99, expected at most the 34 labels of the run"),
    ("split.test", 2.5, "split.test: found 2.5, expected a whole number (from 1 on; below 1 it is a share)"),
    ("tables.confidence", float("nan"), "tables.confidence: found nan, expected a number"),
    ("diffusion.training.learning_rate", float("inf"), "learning_rate: found inf, expected a number"),
    ("segmentation.window", [300, -200], "segmentation.window: found [300, -200]"),
    ("segmentation.real_slices", "al", "segmentation.real_slices"),
    ("compute.precision", "bf61", "compute.precision: found 'bf61' (did you mean 'bf16'?), expected one of auto, fp32"),
    ("compute.compile", "yes", "compute.compile: found 'yes', expected one of auto, True, False"),
    ("compute.devices", 0, "compute.devices: found 0, expected >= 1"),
    ("compute.devices", "al", "compute.devices: found 'al'"),
    ("compute.devices", "all", None),
    ("tables.image_window", [300, -200], "tables.image_window: found [300, -200], expected [low, high] in HU"),
    ("tables.image_patients", 0, "tables.image_patients: found 0, expected >= 1"),
    ("tables.metrics", ["ssim"], "tables.metrics: unknown 'ssim'"),
    ("tables.image_metrics", ["sim"], "tables.image_metrics: unknown 'sim' (did you mean 'ssim'?)"),
    ("tables.image_metrics", ["dice"], "tables.image_metrics: unknown 'dice'"),
    ("tables.image_metrics", ["fid"], "'fid' is taken on features of inception, but tables.extractor says"),
    ("tables.image_metrics", ["kid", "ssim_body"], None),
    ("tables.image_metrics", [], "tables.image_metrics: found []"),
    ("tables.extractor.name", "inceptin", "(did you mean 'inception'?), expected one of auto, inception"),
    ("tables.extractor.weight", "w", "tables.extractor.weight: unknown key (did you mean 'weights'?)"),
]


PLACE = {"path": "scans"}
ARCHIVE = {"url": "https://x/y.zip", "size": 9, "checksum": "md5:" + "0" * 32}
SCANS, NNUNET, DICOM = ({"layout": layout, **PLACE} for layout in ("totalsegmentator", "nnunet", "dicom"))
PHANTOM = {"layout": "phantom", "path": "a", "patients": 5, "seed": 1, "matrix": 48, "slice_spacing": 5}
TEMPLATE = "expected a path where {subject} stands for the subject's folder"
WRONG_DATASETS = [
    ({**NNUNET, "download": ARCHIVE}, "download: is read by layout totalsegmentator, but the layout is nnunet"),
    ({**NNUNET, "download": ARCHIVE}, "unpack the archive and set path to the folder"),
    ({**SCANS, "download": {**ARCHIVE, "size": 2.5}}, "download.size: found 2.5, expected a whole number"),
    ({**SCANS, "download": {**ARCHIVE, "checksum": "fe25"}}, "download.checksum: found 'fe25'"),
    ({**SCANS, "labels": "{subject}.nii.gz"}, "labels: is read by layout dicom, but the layout is totalsegmentator"),
    ({**SCANS, "mapping": "amos"}, "mapping: found 'amos', expected mask name: organ name"),
    ({**SCANS, "patients": 5}, "patients: is read by layout phantom, but the layout is totalsegmentator"),
    ({**PHANTOM, "labels_only": -1}, "labels_only: found -1"),
    ({**PHANTOM, "labels_only": "some"}, "labels_only: found 'some'"),
    ({**PHANTOM, "label_only": 3}, "label_only: unknown key (did you mean 'labels_only'?)"),
    ({**SCANS, "path": ["a", ""]}, "path.1: found ''"),
    ({**NNUNET, "mapping": "amoss"}, "mapping: unknown 'amoss' (did you mean 'amos'?)"),
    ({**NNUNET, "mapping": {}}, "mapping: found {}"),
    ({**NNUNET, "mapping": {"Leber": 6}}, "mapping.Leber: found 6, expected a text"),
    ({**NNUNET, "mapping": {"liver": "7"}}, "mapping.liver: found '7', expected a name of `labels`"),
    ({**NNUNET, "mapping": {"liver": "7"}}, "write it the other way round, 7: liver"),
    ({**NNUNET, "mapping": {7: "pancrea"}}, "mapping.7: found 'pancrea' (did you mean 'pancreas'?)"),
    ({**NNUNET, "mapping": {0: "liver"}}, "mapping.0: an id is 1 to 65535, and 0 is background"),
    ({**NNUNET, "mapping": {"70000": "liver"}}, "mapping.70000: an id is 1 to 65535"),
    ({**DICOM, "labels": "{patient}.nii.gz"}, TEMPLATE),
    ({**DICOM, "labels": "{}.nii.gz"}, TEMPLATE),
    ({**DICOM, "labels": "{subject"}, TEMPLATE),
    ({**DICOM, "labels": "{subject.name}"}, TEMPLATE),
    ({**DICOM, "labels": "{subject:d}"}, TEMPLATE),
    ({**PHANTOM, "path": ["a", "b"]}, "path: found ['a', 'b'], expected the one folder"),
    ({**PHANTOM, "patients": 5.0}, "patients: found 5.0, expected a whole number"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG_DATASETS)
def test_a_wrong_data_set_is_explained(config, settings, message):
    wrong = {**put(config, "datasets.mine", settings), "dataset": "mine"}
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        validate(wrong)
    assert str(caught.value).startswith("config: datasets.mine.")


@pytest.mark.parametrize(
    "settings",
    [
        {**SCANS, "path": "x.zip", "download": ARCHIVE},
        {**SCANS, "path": ["a", "b"], "mapping": {"Leber": "liver", 7: "spleen"}},
        {**NNUNET, "mapping": {"Leber": "liver", 7: "spleen"}},
        {**DICOM, "labels": "masks/{subject}/{{all}}.nii.gz", "mapping": "totalsegmentator_v2"},
        {**DICOM, "labels": "one.nii.gz"},
    ],
)
def test_a_right_data_set_is_let_through(config, settings):
    validate({**put(config, "datasets.mine", settings), "dataset": "mine"})


@pytest.mark.parametrize(("key", "value", "message"), WRONG, ids=[f"{k}={v}"[:60] for k, v, _ in WRONG])
def test_a_wrong_value_is_explained(config, key, value, message):
    wrong = put(config, key, value)
    if message is None:
        validate(wrong)
        return
    with pytest.raises(ConfigError) as caught:
        validate(wrong)
    assert message in str(caught.value)


def test_a_missing_section_is_named(config):
    del config["synthesis"]
    with pytest.raises(ConfigError, match="the key 'synthesis' is missing"):
        validate(config)


def test_overrides_change_one_generator_alone(config):
    changed = put(config, "generators.pivm.overrides", {"training": {"epochs": 3}})
    assert generator_settings(changed, "pivm").training.epochs == 3
    assert generator_settings(changed, "pivm").training.batch == config["diffusion"]["training"]["batch"]
    assert generator_settings(changed, "cddpm") == generator_settings(config, "cddpm")


def test_the_sampler_is_no_setting_of_the_training(config):
    for name in config["generators"]:
        whole, training, sampler = (f(config, name) for f in (generator_settings, training_settings, sampler_settings))
        assert "sampler" not in training
        assert plain(whole) == {**training, **({"sampler": sampler} if sampler else {})}
        assert bool(sampler) == (kinds()[whole.kind].sampler is not None)
    changed = put(config, "generators.pivm.overrides", {"sampler": {"steps": 3}})
    assert sampler_settings(changed, "pivm") == {**config["diffusion"]["sampler"], "steps": 3}
    assert training_settings(changed, "pivm") == training_settings(config, "pivm")


def sections() -> dict[str, type]:
    """Dotted path -> settings class of every section of the config that a settings class states."""
    found = dict(SECTIONS)
    for kind in kinds().values():
        found |= {f"{kind.name}.{name}": section for name, section in kind.sections.items()}
    return found


@pytest.mark.parametrize(("path", "section"), sections().items())
def test_the_config_shows_every_default(config, path, section):
    place = config
    for key in path.split("."):
        place = place[key]
    assert plain(section()) == place


def test_the_papers_numbers(config):
    update_config(config, yaml.safe_load((ROOT / "configs/paper.yaml").read_text()))
    training = config["diffusion"]["training"]
    assert (training["batch"], training["epochs"], training["halve_every_epochs"]) == (32, 200, 20)
    assert (training["optimizer"], training["learning_rate"], training["betas"]) == ("adamw", 1e-4, [0.9, 0.99])
    assert (config["image"]["size"], config["labels"], config["prior"]) == (256, 34, "paper")
    assert config["selection"]["axial_slices"] == [100, 600]
    assert (config["synthesis"]["slices"], config["segmentation"]["real_slices"]) == (5000, 5000)


def test_every_key_of_the_default_config_is_in_the_schema(config):
    whole = schema()
    assert set(whole["properties"]) == set(config)
    assert set(whole["required"]) == set(config)


def test_label_sets():
    assert len(ORGANS_34) == len(set(ORGANS_34)) == 34
    assert ORGANS_34[:13] == ORGANS_13
    assert LabelSet.from_config(34).id_of("liver") == 6
    with pytest.raises(ConfigError, match="did you mean 'liver'"):
        LabelSet.from_config(13).id_of("livr")


def test_a_run_of_few_labels_has_no_ablation_and_is_valid(config):
    few = put(config, "labels", ["liver", "spleen", "kidney_right"])
    few = put(put(few, "selection.organs", ["liver"]), "selection.min_organs", 1)
    validate(few)
    for run in (few, put(config, "labels", 13)):
        validate(run)
        with pytest.raises(ConfigError, match=r"tables\.ablation: the run's own labels are"):
            ablation_methods(run)
        assert generators(run) == run["generators"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("generators.pivm.overrides", {"training": {"epochs": 3}}),
        ("generators.pivm.condition", ["labels", "prior"]),
        ("generators.pivm.target", "absolute"),
    ],
)
def test_the_twin_of_the_ablation_follows_its_generator(config, key, value):
    changed = put(config, key, value)
    validate(changed)
    assert ablation_methods(changed) == {"labels_34": "pivm", "labels_13": "pivm_13"}
    full, few = (plain(generator_settings(changed, name)) for name in ("pivm", "pivm_13"))
    assert {**full, "name": "pivm_13", "labels": 13} == few
    assert "pivm_13" not in changed["generators"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tables.ablation.of": "pivn"}, "unknown generator 'pivn' (did you mean 'pivm'?)"),
        ({"tables.ablation.of": "prior"}, "generator 'prior' is of kind prior_map, which learns no labels"),
        ({"generators.pivm.labels": 13}, "generator 'pivm' knows 13 labels itself"),
        ({"generators.pivm_13": {"kind": "prior_map"}}, "`generators` has another entry of that name"),
    ],
)
def test_an_ablation_that_cannot_be_is_an_error_where_it_is_asked_for(config, changes, message):
    for key, value in changes.items():
        config = put(config, key, value)
    validate(config)
    assert generators(config) == config["generators"]
    with pytest.raises(ConfigError, match=re.escape(message)):
        ablation_methods(config)


def test_texts_that_say_a_number_are_read_where_one_is_wanted(config):
    """As Snakemake reads --config 'compute={"devices": 4}'."""
    texts = {
        "compute.devices": ("4", 4),
        "compute.tensorboard": ("false", False),
        "compute.compile": ("False", False),
        "compute.launcher": ("null", None),
        "diffusion.sampler.guidance": ("1e0", 1.0),
        "segmentation.seeds": (["3", "4"], [3, 4]),
        "segmentation.real_slices": ("5", 5),
        "generators.pivm.overrides": ({"training": {"epochs": "3"}}, {"training": {"epochs": 3}}),
        "generators.pivm.labels": ("13", 13),
        "datasets.phantom.patients": ("30", 30),
        "labels": ("34", 34),
    }
    for key, (text, meant) in texts.items():
        changed = put(config, key, text)
        validate(changed)
        assert changed == put(config, key, meant), key
    for key, text in (("results", "12"), ("segmentation.real_slices", "all"), ("compute.launcher", "7")):
        changed = put(config, key, text)
        validate(changed)
        assert changed == put(config, key, text), key
    for key, text in (
        ("image.size", "6_4"),
        ("image.size", " 64"),
        ("split.seed", "1.0"),
        ("tables.confidence", "nan"),
    ):
        with pytest.raises(ConfigError, match=key):
            validate(put(config, key, text))


def test_the_note_says_how_maisi_came_about(config):
    assert weights_note(config, ["cddpm", "maisi"]) == " Weights of maisi: trained from scratch on this split."
    assert "may include test patients" in weights_note(put(config, "generators.maisi.weights", "w"), ["maisi"])
    assert weights_note(config, ["original", "pivm"]) == ""
