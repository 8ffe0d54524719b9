"""The commands of people who never read Snakemake: generate, check, preview, report, doctor."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import torch
from pivm import cli
from pivm.cli import check, config_files, doctor, report
from pivm.cohort.prior import Prior
from pivm.errors import ConfigError, PivmError
from pivm.generators.controls.prior_map import PriorMap
from pivm.generators.kinds import GeneratorSettings
from pivm.generators.model_folder import TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.labels import ORGANS_34
from pivm.learning.device import inference_threads
from pivm.scans.nifti import write_volume
from pivm.scans.outline import grown_outline

AFFINE = np.diag([4.0, 4.0, 5.0, 1.0])
PRIOR = Prior(
    *("body", ORGANS_34, ORGANS_34, (-1000.0, *range(10, 44), -100.0), (9,) * 36, 60.0, (5.0,) * 36, 0.0, 100.0),
    *((-1024, 300), (10.0, 10.0, 10.0)),
)
AIR = -1000
#: from the patient's left to the right
ROW = ("spleen", "kidney_left", "gallbladder", "esophagus", "kidney_right", "liver", "stomach", "aorta")


@pytest.fixture
def model(tmp_path):
    """The prior map as a generator of the 34 labels: what comes out is known for every voxel."""
    generator = PriorMap(GeneratorSettings(name="prior", kind="prior_map"), PRIOR, torch.device("cpu"))
    made = {"code": "0" * 16, "versions": {}}
    save_generator(generator, tmp_path / "model", TrainedOn(("p",), 1, 64, {}), made)
    write_sampler(tmp_path / "model", {})
    return tmp_path / "model"


def subject(folder, organs=ROW, slices=30, others=()):
    """Organs in a row across the middle, and other masks far to the side."""
    for i, organ in enumerate(organs):
        mask = np.zeros((80, 80, slices), np.uint8)
        mask[20 + 5 * i : 24 + 5 * i, 36:44] = 1
        write_volume(mask, AFFINE, folder / "segmentations" / f"{organ}.nii.gz")
    for name, place in others:
        mask = np.zeros((80, 80, slices), np.uint8)
        mask[place] = 1
        write_volume(mask, AFFINE, folder / "segmentations" / f"{name}.nii.gz")
    return folder


def generate(model, labels, out, *more: str) -> int:
    labels = labels if isinstance(labels, list) else [labels]
    return cli.main(["generate", "--model", str(model), "--labels", *map(str, labels), "--out", str(out), *more])


def hu_of(path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


ARM = np.s_[5:9, 38:42]


def test_the_outline_holds_every_mask_of_the_folder(model, tmp_path, capsys):
    assert generate(model, subject(tmp_path / "a"), tmp_path / "without.nii.gz") == 0
    assert (hu_of(tmp_path / "without.nii.gz")[ARM] == AIR).all()
    assert generate(model, subject(tmp_path / "b", others=[("humerus_left", ARM)]), tmp_path / "with.nii.gz") == 0
    with_arm = hu_of(tmp_path / "with.nii.gz")
    assert (with_arm[ARM] == -100).all()
    assert (with_arm[3, 40] > AIR).all(), "skin around it"
    assert "1 not known to the model" in capsys.readouterr().out


def test_ids_that_are_no_organ_are_inside_too(model, tmp_path):
    labels = np.zeros((80, 80, 30), np.uint8)
    for i in range(8):
        labels[20 + 5 * i : 24 + 5 * i, 36:44] = [1, 2, 3, 4, 5, 6, 7, 8][i]  # TotalSegmentator's ids
    labels[ARM] = 70
    write_volume(labels, AFFINE, tmp_path / "labels.nii.gz")
    ids = ("--ids", "totalsegmentator_v2")
    assert generate(model, tmp_path / "labels.nii.gz", tmp_path / "ct.nii.gz", *ids) == 0
    assert (hu_of(tmp_path / "ct.nii.gz")[ARM] > AIR).all()


def test_what_is_no_mask_is_left_out_and_named(model, tmp_path, caplog):
    folder = subject(tmp_path / "a")
    write_volume(
        np.arange(80 * 80 * 30, dtype=np.int16).reshape(80, 80, 30), AFFINE, folder / "segmentations/t1.nii.gz"
    )
    assert generate(model, folder, tmp_path / "ct.nii.gz") == 0
    assert "left out of the patient's outline" in caplog.text
    assert "t1.nii.gz" in caplog.text
    assert (hu_of(tmp_path / "ct.nii.gz")[ARM] == AIR).all()


@pytest.mark.parametrize("given", [True, False], ids=["--body", "mask of that name"])
def test_a_given_outline_is_used(model, tmp_path, given):
    box = np.s_[16:64, 30:50]
    folder = subject(tmp_path / "a", others=[] if given else [("body", box)])
    mask = np.zeros((80, 80, 30), np.uint8)
    mask[box] = 1
    write_volume(mask, AFFINE, tmp_path / "body.nii.gz")
    body = ["--body", str(tmp_path / "body.nii.gz")] if given else []
    assert generate(model, folder, tmp_path / "ct.nii.gz", *body) == 0
    hu = hu_of(tmp_path / "ct.nii.gz")
    assert (hu[18:62, 32:48] > AIR).all()
    assert (hu[:14] == AIR).all()
    assert (hu[:, :28] == AIR).all()


def test_an_outline_on_another_grid_is_refused(model, tmp_path, capsys):
    write_volume(np.ones((40, 40, 30), np.uint8), AFFINE, tmp_path / "body.nii.gz")
    assert generate(model, subject(tmp_path / "a"), tmp_path / "x.nii.gz", "--body", str(tmp_path / "body.nii.gz")) == 1
    assert "expected the grid of the labels" in capsys.readouterr().err


def test_a_skin_lies_over_what_the_outline_holds():
    body, parts = np.zeros((1, 40, 40), bool), np.zeros((1, 40, 40), bool)
    body[0, 15:25, 15:25] = True
    parts[0, 20, 30], parts[0, 20, 33] = True, True
    grown = grown_outline(body, parts, pixel_mm=4.0)
    assert grown[0, 20, 28:36].all()  # 8 mm of skin, and the gap of 8 mm
    assert not grown[0, 20, 37:].any()
    np.testing.assert_array_equal(grown_outline(body, parts & False, 4.0), body)


@pytest.mark.parametrize(
    ("organs", "slices", "message"),
    [
        (("esophagus", "autochthon_left", "autochthon_right"), 30, "3 organs of the model reach 1 ml"),
        (ROW, None, "1 of 30 axial slices hold at least 3 of them"),
    ],
    ids=["a head", "one slice of an abdomen"],
)
def test_an_untrained_region_is_refused_unless_it_is_asked_for(
    model, tmp_path, capsys, caplog, organs, slices, message
):
    folder = subject(tmp_path / "a", organs)
    if slices is None:
        for path in (folder / "segmentations").iterdir():
            mask = hu_of(path).copy()
            mask[:, :, 1:] = 0
            write_volume(mask, AFFINE, path)
    assert generate(model, folder, tmp_path / "ct.nii.gz") == 1
    said = capsys.readouterr().err
    assert "not a region that the model was trained on" in said
    assert message in said
    assert not (tmp_path / "ct.nii.gz").exists()
    assert generate(model, folder, tmp_path / "ct.nii.gz", "--any-region") == 0
    assert "not a region that the model was trained on" in caplog.text


def test_slices_beyond_the_trained_region_are_named(model, tmp_path, caplog):
    folder = subject(tmp_path / "a")
    for path in (folder / "segmentations").iterdir():
        mask = hu_of(path).copy()
        mask[:, :, :3] = 0
        write_volume(mask, AFFINE, path)
    assert generate(model, folder, tmp_path / "ct.nii.gz") == 0
    assert "3 of 30 axial slices" in caplog.text
    assert "(slices 0-2" in caplog.text
    assert json.loads((tmp_path / "ct.json").read_text())["untrained_slices"] == 3


def test_many_subjects_and_seeds_resume(model, tmp_path, capsys):
    for name in ("a", "b"):
        subject(tmp_path / "cohort" / name)
    seeds = ("--seed", "1", "2", "--json")
    assert generate(model, tmp_path / "cohort", tmp_path / "out", *seeds) == 0
    first = json.loads(capsys.readouterr().out)
    assert [one["status"] for one in first] == ["made"] * 4
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_seed_1", "a_seed_2", "b_seed_1", "b_seed_2"]
    masks = tmp_path / "out/a_seed_1/segmentations"
    np.testing.assert_array_equal(
        hu_of(masks / "spleen.nii.gz"), hu_of(tmp_path / "cohort/a/segmentations/spleen.nii.gz")
    )
    shutil.rmtree(tmp_path / "out/b_seed_2")
    subject(tmp_path / "cohort" / "a", slices=31)  # other labels now
    assert generate(model, tmp_path / "cohort", tmp_path / "out", *seeds) == 3
    again = json.loads(capsys.readouterr().out)
    assert [one["status"] for one in again] == ["failed", "failed", "kept", "made"]
    assert "of another model, seed or labels" in again[0]["reason"]
    assert hu_of(tmp_path / "out/a_seed_1/ct.nii.gz").shape[2] == 30
    assert generate(model, tmp_path / "cohort", tmp_path / "out", *seeds, "--overwrite") == 0
    assert hu_of(tmp_path / "out/a_seed_1/ct.nii.gz").shape[2] == 31


def test_a_file_of_somebody_else_is_never_replaced(model, tmp_path, capsys):
    (tmp_path / "ct.nii.gz").write_bytes(b"a real scan")
    assert generate(model, subject(tmp_path / "a"), tmp_path / "ct.nii.gz") == 1
    assert (tmp_path / "ct.nii.gz").read_bytes() == b"a real scan"
    assert "--overwrite" in capsys.readouterr().err


def test_one_bad_subject_ends_no_other(model, tmp_path, capsys):
    places = [subject(tmp_path / "head", ("esophagus",)), subject(tmp_path / "a"), tmp_path / "nowhere"]
    assert generate(model, places, tmp_path / "out") == 3
    assert "1 made, 0 were there already, 2 failed" in capsys.readouterr().out
    assert (tmp_path / "out/a/ct.nii.gz").exists()


def test_names_and_files_that_clash_are_refused(model, tmp_path, capsys):
    places = [subject(tmp_path / "x/a"), subject(tmp_path / "y/a")]
    assert generate(model, places, tmp_path / "out") == 1
    assert "two label maps are named a" in capsys.readouterr().err
    assert generate(model, places, tmp_path / "ct.nii.gz") == 1
    assert "one file, but 2 label maps x 1 seeds" in capsys.readouterr().err


def test_nnunet_layout(model, tmp_path):
    assert generate(model, subject(tmp_path / "a"), tmp_path / "out", "--layout", "nnunet") == 0
    labels = hu_of(tmp_path / "out/labelsTr/a.nii.gz")
    assert labels.shape == hu_of(tmp_path / "out/imagesTr/a_0000.nii.gz").shape
    assert np.unique(labels).tolist() == list(range(9))
    facts = json.loads((tmp_path / "out/dataset.json").read_text())
    assert facts["numTraining"] == 1
    assert facts["labels"]["spleen"] == 1
    assert [p.name for p in (tmp_path / "out/imagesTr").iterdir()] == ["a_0000.nii.gz"]
    assert json.loads((tmp_path / "out/synthetic/a.json").read_text())["synthetic"] is True
    assert b"SYNTHETIC" in nib.load(tmp_path / "out/imagesTr/a_0000.nii.gz").header["descrip"].item()


def test_previews_are_drawn_and_kept(model, tmp_path, capsys):
    folder = subject(tmp_path / "a")
    assert generate(model, folder, tmp_path / "out", "--preview") == 0
    assert (tmp_path / "out/a/ct.png").stat().st_size > 10_000
    ct = str(tmp_path / "out/a/ct.nii.gz")
    assert cli.main(["preview", ct, str(folder)]) == 0
    assert (tmp_path / "out/a/ct_preview.png").exists()
    assert cli.main(["preview", ct, str(folder)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert cli.main(["preview", ct, str(subject(tmp_path / "b", slices=29)), "--overwrite"]) == 1
    assert "expected one grid with the same affine" in capsys.readouterr().err


def test_small_slices_take_one_thread():
    assert inference_threads(64) == inference_threads(128) == 1
    assert inference_threads(256) >= 1


def scans(tmp_path):
    ct = np.full((80, 80, 30), -1000, np.int16)
    ct[10:70, 20:60] = 40
    for name in ("a", "b"):
        folder = subject(tmp_path / "scans" / name)
        write_volume(ct, AFFINE, folder / "ct.nii.gz")
    write_volume(ct, AFFINE, subject(tmp_path / "scans" / "head", ("esophagus",)) / "ct.nii.gz")
    return tmp_path / "scans"


def test_check_says_what_is_selected_and_why_not(tmp_path, capsys):
    out = tmp_path / "selection.csv"
    assert cli.main(["check", str(scans(tmp_path)), "--json", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    status = {row["subject"]: row["status"] for row in found["scans"]}
    assert status["head"] == "set aside"
    assert found["layout"] == "totalsegmentator"
    assert out.read_text().startswith("subject,patient,status,reason")
    assert "not an abdominal scan" in out.read_text()
    assert found["counts"] == {"selected": 2, "set aside": 1}


def test_check_follows_the_config_and_ends_with_1_where_nothing_is_left(tmp_path, capsys):
    overlay = tmp_path / "my.yaml"
    overlay.write_text("selection: {axial_slices: [31, 600]}\n")
    assert cli.main(["check", str(scans(tmp_path)), "--config", str(overlay)]) == 1
    said = capsys.readouterr().out
    assert "30 axial slices, selection.axial_slices wants 31 to 600" in said
    assert "0 of 3 scans selected" in said
    assert cli.main(["check", str(tmp_path / "nowhere")]) == 1
    assert "no such file or folder, and no data set of the config" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "layout"),
    [("dataset.json", "nnunet"), ("a/ct.nii.gz", "totalsegmentator"), ("a/1.dcm", "dicom"), ("imagesTr/x", "nnunet")],
)
def test_the_layout_is_told_by_what_is_there(tmp_path, make, layout):
    (tmp_path / make).parent.mkdir(exist_ok=True)
    (tmp_path / make).touch()
    assert check.guess_layout(tmp_path) == layout


def test_the_config_is_laid_over_as_by_snakemake(tmp_path):
    overlay = tmp_path / "my.yaml"
    overlay.write_text("selection: {min_organs: 2}\nimage: {sise: 3}\n")
    with pytest.raises(ConfigError, match="did you mean 'size'"):
        config_files.read_config([overlay])
    overlay.write_text("selection: {min_organs: 2}\n")
    config = config_files.read_config([overlay])
    assert config["selection"]["min_organs"] == 2
    assert config["selection"]["min_organ_ml"] == 1.0


def test_the_page_is_found_or_its_absence_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "results/phantom").mkdir(parents=True)
    with pytest.raises(PivmError, match="no such file; the run makes it"):
        report.find_page(tmp_path / "results/phantom")
    page = tmp_path / "results/phantom/report/index.html"
    page.parent.mkdir()
    page.touch()
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert cli.main(["report", str(tmp_path / "results")]) == 0
    assert opened == [page.resolve().as_uri()]
    assert cli.main(["report", str(tmp_path / "results/phantom"), "--no-browser"]) == 0
    assert len(opened) == 1
    assert page.resolve().as_uri() in capsys.readouterr().out


def test_the_trainings_of_a_config_are_counted():
    config = config_files.read_config([])
    listing = doctor.listing_of(config)
    slices = doctor.training_slices(config, listing)
    assert slices == 24 * 15
    rows = {row["network"]: (row["jobs"], row["steps"]) for row in doctor.training_jobs(config, slices)}
    assert rows["pivm"] == rows["cddpm"] == (1, 1800)
    assert rows["maisi/autoencoder"] == (1, 500)
    assert rows["segmenter"] == (17, 800)


def test_the_trainings_of_the_evidence_are_counted():
    """Two draws, the larger of them all who have a CT, of whom nobody is left for label maps without CT."""
    config = config_files.read_config([config_files.CHECKOUT.parent / "configs/evidence_small.yaml"])
    config["evidence"] |= {"patients": [4, "all"], "arms": ["real", "labels_only", "augmented"], "steps": [1.0, 2.0]}
    listing = doctor.listing_of(config)
    rows = doctor.evidence_jobs(config, doctor.training_slices(config, listing), listing)
    found = [(row["network"], row["jobs"], row["steps"]) for row in rows]
    # a generator for each draw; two seeds of three and of two arms
    assert found == [("pivm", 2, 1800), ("segmenter", 10, 800), ("segmenter", 10, 1600)]


def test_what_does_not_fit_is_said():
    facts = {"disk_free_gib": 1.0, "memory_free_gib": 3.0}
    assert doctor.misfits(facts, {"disk_gib": 0.5, "job_memory_gib": 1.0, "jobs_at_once": 3}) == []
    disk, memory = doctor.misfits(facts, {"disk_gib": 1.5, "job_memory_gib": 1.0, "jobs_at_once": 4})
    assert "1.5 GiB of slices, but 1.0 GiB are free" in disk
    assert "4 trainings at once take 4.0 GiB" in memory


def test_doctor_times_real_steps():
    smoke = str(config_files.CHECKOUT.parent / "configs/smoke.yaml")
    # a process of its own: what libraries write to its standard output would be no JSON
    command = [sys.executable, "-m", "pivm.cli", "doctor", "--config", smoke, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert all(row["step_seconds"] > 0 for row in found["trainings"])
    assert found["training_minutes"] == pytest.approx(sum(row["minutes"] for row in found["trainings"]))
    assert found["machine"]["versions"]["torch"]
