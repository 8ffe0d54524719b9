"""A CT from labels with a model folder, from Python and from the shell."""

from __future__ import annotations

import json
import subprocess
import sys

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from pivm import cli
from pivm.cohort.prior import Prior
from pivm.errors import DataError, StateError
from pivm.generators.controls.prior_map import PriorMap
from pivm.generators.kinds import GeneratorSettings
from pivm.generators.model_folder import ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.learning.model_files import model_hash
from pivm.report.generator_card import write_model_card
from pivm.report.words import PHANTOM, REAL
from pivm.scans.label_names import read_label_names, write_label_names
from pivm.synthesis.inference import generate_ct

ORGANS = ("liver", "spleen")
MEANS = (-1000.0, 60.0, 90.0, -100.0)
MADE = {"code": "0" * 16, "versions": {"torch": "2.13.0"}}
PRIOR = Prior("body", ORGANS, ORGANS, MEANS, (9,) * 4, 60.0, (5.0,) * 4, 0.0, 100.0, (-1024, 300), (20.0, 20.0, 20.0))
AFFINE = np.array([[-3.0, 0, 0, 40], [0, -3.0, 0, 50], [0, 0, 5.0, -200], [0, 0, 0, 1]])


@pytest.fixture
def model(tmp_path):
    """The prior map as a generator: what comes out is known for every voxel."""
    generator = PriorMap(GeneratorSettings(name="prior", kind="prior_map"), PRIOR, torch.device("cpu"))
    save_generator(generator, tmp_path / "model", TrainedOn(("p",), 1, 32, {}), MADE)
    write_sampler(tmp_path / "model", {})
    return tmp_path / "model"


def labels(slices: int = 6) -> np.ndarray:
    array = np.zeros((32, 32, slices), np.uint8)
    array[8:16, 10:22] = 1
    array[18:24, 10:22] = 2
    return array


def write(array: np.ndarray, path, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def inside(hu: np.ndarray, mask: np.ndarray) -> set[int]:
    return set(np.unique(hu[mask]).tolist())


def shell(model, path, out, *more: str) -> int:
    return cli.main(["generate", "--model", str(model), "--labels", str(path), "--out", str(out), *more])


@pytest.mark.parametrize("slices", [6, 1])
def test_every_organ_gets_its_hu_on_the_grid_of_the_labels(model, tmp_path, slices):
    path = write(labels(slices), tmp_path / "labels.nii.gz")
    assert shell(model, path, tmp_path / "ct.nii.gz", "--ids", "model") == 0
    made = nib.load(tmp_path / "ct.nii.gz")
    reference = nib.load(path)
    np.testing.assert_allclose(made.affine, reference.affine)
    hu, truth = np.asarray(made.dataobj), np.asarray(reference.dataobj)
    assert hu.shape == truth.shape
    assert hu.dtype == np.int16
    assert inside(hu, truth == 1) == {60}
    assert inside(hu, truth == 2) == {90}
    assert hu[0, 0].tolist() == [-1000] * slices
    assert -100 in inside(hu, truth == 0)


def turned(array: np.ndarray, axes: str) -> tuple[np.ndarray, np.ndarray]:
    """The same labels in the same place, stored in other axes; what comes in is LPS."""
    change = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(axes))
    return apply_orientation(array, change), AFFINE @ inv_ornt_aff(change, array.shape)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "LAS", "SAR", "PIL"])
def test_a_ct_has_the_shape_axes_and_affine_of_its_labels(model, tmp_path, axes):
    plain = generate_ct(model, labels(), affine=AFFINE)
    array, affine = turned(labels(), axes)
    assert nib.aff2axcodes(affine) == tuple(axes)
    in_memory = generate_ct(model, array, affine=affine)
    from_file = generate_ct(model, write(array, tmp_path / "labels.nii.gz", affine), "model")
    for ct in (in_memory, from_file):
        assert ct.hu.shape == array.shape
        assert ct.organs == ORGANS
        np.testing.assert_allclose(ct.affine, affine)
        assert inside(ct.hu, array == 1) == {60}
        np.testing.assert_array_equal(ct.hu, turned(plain.hu, axes)[0])
    in_memory.save(tmp_path / "ct.nii.gz")
    assert "SYNTHETIC" in str(nib.load(tmp_path / "ct.nii.gz").header["descrip"])
    facts = json.loads((tmp_path / "ct.json").read_text())
    assert facts["synthetic"] is True
    assert (facts["model"], facts["seed"], facts["source"]) == (model_hash(model), 1, "labels")
    assert {"generator", "command", "versions"} <= set(facts)
    read = nib.load(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(np.asarray(read.dataobj), in_memory.hu)
    np.testing.assert_allclose(read.affine, affine, atol=1e-4)
    np.testing.assert_allclose(read.get_qform(), affine, atol=1e-4)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "SAR", "PIL"])
@pytest.mark.parametrize(("text", "window"), [("2:5", slice(2, 5)), (":1", slice(0, 1)), ("4:", slice(4, 6))])
def test_a_window_has_its_slices_alone_where_they_lie(model, tmp_path, axes, text, window):
    array, affine = turned(np.arange(1, 7, dtype=np.uint8) % 3 * (labels() > 0), axes)  # organs differ along z
    path = write(array, tmp_path / "labels.nii.gz", affine)
    more = ("--ids", "model", "--any-region")
    assert shell(model, path, tmp_path / "whole.nii.gz", *more) == 0
    assert shell(model, path, tmp_path / "ct.nii.gz", *more, "--window", text, "--preview") == 0
    whole, part = (nib.load(tmp_path / f"{name}.nii.gz") for name in ("whole", "ct"))
    assert nib.aff2axcodes(part.affine) == tuple(axes)
    whole, part = (nib.as_closest_canonical(image) for image in (whole, part))
    np.testing.assert_array_equal(np.asarray(part.dataobj), np.asarray(whole.dataobj)[..., window])
    place = whole.affine @ [0, 0, window.start, 1]  # of the lowest slice
    np.testing.assert_allclose(part.affine @ [0, 0, 0, 1], place, atol=1e-4)
    assert json.loads((tmp_path / "ct.json").read_text())["made_from"]["window"] == [
        int(end) if end else None for end in text.split(":")
    ]
    assert (tmp_path / "ct.png").exists()


def test_the_labels_of_a_window_lie_beside_it(model, tmp_path):
    path = write(labels(), tmp_path / "a.nii.gz")
    assert shell(model, path, tmp_path / "out", "--ids", "model", "--window", "1:3", "--layout", "nnunet") == 0
    made, given = (nib.load(tmp_path / "out" / name) for name in ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"))
    np.testing.assert_array_equal(np.asarray(given.dataobj), labels()[..., 1:3])
    np.testing.assert_allclose(made.affine, given.affine)
    # another window is another CT, which replaces nothing unasked
    assert shell(model, path, tmp_path / "out", "--ids", "model", "--window", "1:4", "--layout", "nnunet") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6:8", "found the window 6:8, expected one inside 0:6, as the labels have 6 axial slices"),
        ("2:9", "found the window 2:9, expected one inside 0:6"),
        ("4:4", "found the window 4:4, expected one inside 0:6"),
        ("5:2", "found the window 5:2, expected one inside 0:6"),
        ("0:1", "the window holds none of the organs of the model"),
    ],
)
def test_a_window_that_holds_nothing_is_refused(model, tmp_path, capsys, text, message):
    array = labels()
    array[..., 0] = 0
    path = write(array, tmp_path / "labels.nii.gz")
    assert shell(model, path, tmp_path / "ct.nii.gz", "--ids", "model", "--window", text) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "ct.nii.gz").exists()


@pytest.mark.parametrize("text", ["5", "1:2:3", "-3:", "a:b", "1.5:2", ""])
def test_a_window_is_two_numbers(model, tmp_path, capsys, text):
    with pytest.raises(SystemExit):
        shell(model, "labels.nii.gz", tmp_path / "ct.nii.gz", f"--window={text}")
    assert "expected two numbers of slices, as 40:80, 40: or :80" in capsys.readouterr().err


def test_a_ct_in_float32_is_another_than_one_in_the_precision_of_the_cpu(model, tmp_path, capsys):
    path = write(labels(), tmp_path / "labels.nii.gz")
    arguments = (model, path, tmp_path / "ct.nii.gz", "--ids", "model", "--precision")
    assert shell(*arguments, "fp32") == 0
    assert json.loads((tmp_path / "ct.json").read_text())["precision"] == "fp32"
    assert shell(*arguments, "fp32") == 0
    assert "there already" in capsys.readouterr().out
    assert shell(*arguments, "auto") == 1


def test_masks_keep_their_axes_too(model, tmp_path):
    array, affine = turned(labels(), "SAR")
    for k, organ in enumerate(ORGANS, start=1):
        write((array == k).astype(np.uint8), tmp_path / "case" / f"{organ}.nii.gz", affine)
    ct = generate_ct(model, tmp_path / "case")
    np.testing.assert_array_equal(ct.hu, generate_ct(model, array, affine=affine).hu)
    np.testing.assert_allclose(ct.affine, affine)


def test_an_outline_is_that_of_what_the_labels_show(model, tmp_path):
    """Label maps differ in it as patients do; neither the seed nor the name of a file changes it."""
    facts = json.loads((model / "prior.json").read_text())
    facts["outline_by_box"] = {"patients_mm": [[shift] * 3 for shift in (-16.0, -8.0, 0.0, 8.0, 16.0)]}
    (model / "prior.json").write_text(json.dumps(facts))
    sizes = set()
    for slices in range(3, 15):
        one = generate_ct(model, write(labels(slices), tmp_path / f"{slices}.nii.gz"), "model")
        other = generate_ct(model, labels(slices), affine=AFFINE, seed=7)
        np.testing.assert_array_equal(one.hu, other.hu)  # the prior map has no noise
        sizes.add(int((one.hu[..., 0] > -1000).sum()))
    assert 2 <= len(sizes) <= 5


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (labels(), {}, "an array needs its affine"),
        (labels()[0], {"affine": AFFINE}, r"found uint8 .32, 6., expected whole ids in a 3D volume"),
        (labels() + 0.5, {"affine": AFFINE}, r"label value 0\.5, expected whole ids"),
        (labels(), {"affine": AFFINE[:3]}, r"the affine has shape .3, 4., expected .4, 4."),
        (labels(), {"affine": np.zeros((4, 4))}, "the affine is singular"),
        (labels() * 9, {"affine": AFFINE}, "label 18 is outside the label set of the model"),
        (labels(), {"affine": AFFINE, "ids": "amoss"}, "unknown 'amoss' .did you mean 'amos'"),
    ],
    ids=["no affine", "2D", "halves", "3 x 4", "singular", "foreign ids", "no such mapping"],
)
def test_arrays_that_cannot_be_used_say_why(model, array, options, message):
    with pytest.raises(DataError, match=message):
        generate_ct(model, array, **options)


def test_a_file_takes_no_affine(model, tmp_path):
    with pytest.raises(DataError, match="brings its own affine"):
        generate_ct(model, write(labels(), tmp_path / "labels.nii.gz"), affine=AFFINE)


def test_masks_and_foreign_ids_give_the_same_ct(model, tmp_path):
    whole = generate_ct(model, write(labels(), tmp_path / "labels.nii.gz"), "model")
    for k, organ in enumerate(ORGANS, start=1):
        write((labels() == k).astype(np.uint8), tmp_path / "case" / "segmentations" / f"{organ}.nii.gz")
    np.testing.assert_array_equal(generate_ct(model, tmp_path / "case").hu, whole.hu)
    np.testing.assert_array_equal(generate_ct(model, tmp_path / "case" / "segmentations").hu, whole.hu)
    theirs = np.choose(labels(), [0, 5, 1]).astype(np.uint8)
    foreign = generate_ct(model, write(theirs, tmp_path / "ts.nii.gz"), "totalsegmentator_v2")
    np.testing.assert_array_equal(foreign.hu, whole.hu)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: (a * 40, AFFINE), "label 80 is outside the label set of the model .1 to 2."),
        (lambda a: (np.where(a == 1, np.nan, 2.0), AFFINE), "NaN or infinite, expected whole ids"),
        (lambda a: (a * 0, AFFINE), "holds none of the organs of the model .liver, spleen."),
        (
            lambda a: (a, AFFINE @ _tilted(40)),
            r"labels.nii.gz: oblique: an axis is 40 degrees off.*resample the labels",
        ),
        (lambda a: (a[:, :, 0], AFFINE), "expected a 3D volume"),
    ],
    ids=["foreign ids", "not a number", "no organ", "not axial", "2D"],
)
def test_labels_that_cannot_be_used_say_why(model, tmp_path, change, message):
    path = write(*_swap(change(labels()), tmp_path / "labels.nii.gz"))
    with pytest.raises(DataError, match=message):
        generate_ct(model, path, "model")


def named(array: np.ndarray, path, names: dict[int, str], affine=AFFINE):
    """A file whose header says what its ids mean."""
    image = nib.Nifti1Image(array, affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, write_label_names(names)))
    nib.save(image, path)
    return path


THEIRS = np.choose(labels(), [0, 5, 3]).astype(np.uint8)
THEIRS[0, 0, 0], THEIRS[0, 0, 1] = 1, 77


def test_names_in_the_header_say_what_the_ids_mean(model, tmp_path, capsys):
    with pytest.raises(
        DataError, match=r"holds none of the organs of the model .*found id 1, id 3, Liver lobe .id 5., id 77"
    ):
        generate_ct(model, named(THEIRS, tmp_path / "odd.nii.gz", {5: "Liver lobe"}))
    path = named(THEIRS, tmp_path / "ts.nii.gz", {1: "gallbladder", 3: "SPLEEN", 5: "Liver", 9: "colon"})
    assert shell(model, path, tmp_path / "ct.nii.gz") == 0
    hu = np.asarray(nib.load(tmp_path / "ct.nii.gz").dataobj)
    assert inside(hu, THEIRS == 5) == {60}
    assert inside(hu, THEIRS == 3) == {90}
    said = capsys.readouterr().out
    assert "2 organs: liver, spleen" in said
    assert "2 not known to the model, tissue without a label of its own: gallbladder (id 1), id 77" in said
    # what a person says goes before what the header says
    again = generate_ct(model, named(labels(), tmp_path / "own.nii.gz", {1: "spleen", 2: "liver"}), "model")
    assert inside(again.hu, labels() == 1) == {60}


@pytest.mark.parametrize(
    "extension", [b"", b"hello", b"<Label", b"<x><Label Key='0'>liver</Label><Label Key='a'/></x>"]
)
def test_ids_that_nobody_names_are_asked_for(model, tmp_path, extension, capsys):
    image = nib.Nifti1Image(THEIRS, AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, extension))
    nib.save(image, tmp_path / "labels.nii.gz")
    assert shell(model, tmp_path / "labels.nii.gz", tmp_path / "ct.nii.gz") == 1
    said = capsys.readouterr().err
    assert "does not say what its ids (1, 3, 5, 77) mean" in said
    assert "--ids: model (1 is liver, as in model.json), amos, btcv" in said
    assert not (tmp_path / "ct.nii.gz").exists()


def test_names_survive_the_export(model, tmp_path):
    path = named(labels(), tmp_path / "labels.nii.gz", {1: "liver", 2: "spleen"})
    np.testing.assert_array_equal(generate_ct(model, path).hu, generate_ct(model, labels(), affine=AFFINE).hu)


def test_entities_in_a_header_are_not_followed():
    table = b'<!DOCTYPE x [<!ENTITY a "liver">]><x><Label Key="1">&a;</Label></x>'
    assert read_label_names([table]) == {}
    assert read_label_names([b'<x><Label Key="1">liver</Label></x>\0\0\0']) == {"1": ["liver"]}


def test_masks_that_are_not_understood_are_named(model, tmp_path):
    for name in ("liver", "Lebber", "colon"):
        write((labels() == 1).astype(np.uint8), tmp_path / "case" / f"{name}.nii.gz")
    assert generate_ct(model, tmp_path / "case").not_understood == ("Lebber", "colon")


def _swap(pair, path):
    return pair[0], path, pair[1]


def _tilted(degrees: float) -> np.ndarray:
    angle, turn = np.radians(degrees), np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    # equal spacing, so that turning does not shear
    return np.diag([1, 1, 3 / 5, 1]) @ turn


def test_the_shell_says_what_is_wrong_without_a_traceback(model, tmp_path):
    path = write(labels(), tmp_path / "labels.nii.gz")
    (model / "model.safetensors").write_bytes(b"\x80\x04\x95pickle")
    command = [
        sys.executable,
        "-m",
        "pivm.cli",
        "generate",
        "--model",
        model,
        "--labels",
        path,
        "--out",
        tmp_path / "x.nii.gz",
        "--ids",
        "model",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": "workflow_scripts"})
    assert done.returncode == 1
    assert "not a complete model" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_no_nifti_is_refused(model, tmp_path):
    ct = generate_ct(model, labels(), affine=AFFINE)
    with pytest.raises(DataError, match=r"expected a name that ends in .nii.gz"):
        ct.save(tmp_path / "ct.mha")


def change_json(path, change) -> None:
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


BAD_MODELS = [
    (
        "model.json",
        lambda f: f.update(format=2),
        r"format 2, this version reads format \d: train the generator again",
    ),
    ("model.json", lambda f: f.update(settings=["x"]), "no generator: config: settings.kind: found None"),
    ("model.json", lambda f: f["settings"].update(kind=["x"]), r"no generator: .* found \['x'\]"),
    ("model.json", lambda f: f.pop("organs"), "organs is missing or of another type: train the generator again"),
    ("model.json", lambda f: f.update(image_size="32"), "image_size is missing or of another type"),
    ("model.json", lambda f: f["settings"].update(kind="maisi"), "found no key, expected steps, batch for kind maisi"),
    ("model.json", lambda f: f.update(organs=["liver"]), "model.json and prior.json name other organs"),
    ("prior.json", lambda f: f.update(means=[float("nan")] * 4), "found NaN, expected a finite number"),
]


@pytest.mark.parametrize(("file", "change", "message"), BAD_MODELS)
def test_a_model_of_other_parts_says_which(model, tmp_path, file, change, message):
    change_json(model / file, change)
    with pytest.raises(StateError, match=message):
        generate_ct(model, write(labels(), tmp_path / "labels.nii.gz"))


def test_settings_without_a_network_are_named(model, tmp_path):
    change_json(model / "model.json", lambda f: f["settings"].update(kind="diffusion", noise={"steps": 9}, training={}))
    sampler = {"name": "ddim", "steps": 4, "guidance": 1, "reach": 0, "previous_from": 1}
    write_sampler(model, sampler)
    with pytest.raises(StateError, match=r"model\.json: .*the key '\w+' is missing: train the generator again"):
        generate_ct(model, write(labels(), tmp_path / "labels.nii.gz"))


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(StateError, match="nowhere: no such folder, expected the folder of a model"):
        generate_ct(tmp_path / "nowhere", write(labels(), tmp_path / "labels.nii.gz"))


def test_organ_means_of_another_version_are_refused(model, tmp_path):
    (model / "prior.json").write_text(json.dumps({"kind": "body"}))
    with pytest.raises(StateError, match="not the organ means of a generator"):
        generate_ct(model, write(labels(), tmp_path / "labels.nii.gz"))


def test_the_model_card_shows_the_numbers_of_its_generator(model, tmp_path):
    columns = ["metric", "better", "method", "mean", "ci_low", "ci_high"]
    rows = [("dice", "higher", "prior", 0.5, 0.4, 0.6), ("dice", "higher", "pivm", 0.9, None, None)]
    table = pd.DataFrame(rows, columns=columns)
    split = {"a": "train", "b": "train", "c": "test"}
    write_model_card(
        ModelFolder.open(model),
        split,
        "phantom",
        PHANTOM,
        {"Table 2": table},
        ["PIVM: no copies."],
        tmp_path / "card.md",
    )
    card = (tmp_path / "card.md").read_text()
    assert "| Table 2 | Dice Coefficient (higher is better) | 0.500 | 0.400 to 0.600 |" in card
    assert "0.9" not in card
    assert "Data set `phantom`, a phantom (procedural CT of no patient): 2 training, 0 validation and\n1 test" in card
    assert "real" not in card.lower()
    write_model_card(ModelFolder.open(model), split, "mine", REAL, {"Table 2": table}, [], tmp_path / "card.md")
    assert "Data set `mine`: 2 training, 0 validation and\n1 test patients" in (tmp_path / "card.md").read_text()
    assert "2 labels: liver, spleen." in card
