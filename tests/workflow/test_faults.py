"""What users get wrong: each gets a clear message, and nothing that was computed is lost."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pivm.cohort.patient_csv import read_patient_csv
from pivm.errors import PivmError
from pivm.job import device, explain, require_writable

from tests.conftest import ORGANS, make_scan, save_nifti

SELECTION = {
    "axial_slices": [5, 600],
    "organs": list(ORGANS),
    "slices_per_scan": 3,
    "min_labels_per_slice": 2,
}


def dataset(folder, **changes) -> dict:
    return {
        "dataset": "mine",
        "datasets": {"mine": {"layout": "totalsegmentator", "path": str(folder)}},
        "selection": SELECTION,
        "split": {"val": 0, "test": 1},
        **changes,
    }


@pytest.fixture
def scans(tmp_path):
    for i, name in enumerate(("good0", "good1", "NA")):
        make_scan(tmp_path / "scans" / name, seed=i)
    return tmp_path / "scans"


def failure(workflow, content, *targets) -> str:
    done = workflow.run(*targets, configs=("configs/smoke.yaml", workflow.overlay("own", content)))
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert not [word for word in ("Traceback", "WorkflowError", "RuleException", "Complete log") if word in text]
    return text


ARCHIVE = {"layout": "nnunet", "path": "x.zip"}
ARCHIVE["download"] = {"url": "https://x/x.zip", "size": 9, "checksum": "md5:" + "0" * 32}
PARSE = [
    ({"dataset": "mine", "datasets": {"mine": {"layout": "totalsegmentator", "path": "nowhere"}}}, "no such folder"),
    ({"dataset": "mine", "datasets": {"mine": {"layout": "totalsegmentator", "path": "empty"}}}, "no subject found"),
    (
        {"dataset": "mine", "datasets": {"mine": ARCHIVE}},
        "is read by layout totalsegmentator, but the layout",
    ),
    ({"tables": {"generators": ["pivm", "gan"]}}, "tables.generators: unknown 'gan'"),
    ({"tables": {"metrics": ["dise"]}}, "did you mean 'dice'"),
    ({"labels": ["liver", "spleen", "kidney_right", "kidney_left", "stomach", "pancrea"]}, "unknown 'pancreas'"),
    ({"results": "Snakefile/results"}, "cannot be written"),
]


@pytest.mark.parametrize(("content", "message"), PARSE, ids=[m for _, m in PARSE])
def test_a_wrong_config_stops_before_any_job(workflow, content, message):
    (workflow.folder / "empty").mkdir()
    text = failure(workflow, content)
    assert message in text.strip().splitlines()[-1]
    assert "Select jobs" not in text


def test_after_a_kill_the_same_command_works(workflow):
    target = "results/phantom/cohort/split.csv"
    command = ["snakemake", "--cores", "2", "--configfile", "configs/smoke.yaml", "--", target]
    started = subprocess.Popen(command, cwd=workflow.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    locks, scan = workflow.folder / ".snakemake/locks", workflow.folder / "data/phantom/phantom_0000/ct.nii.gz"
    deadline = time.monotonic() + 120
    while not (scan.exists() and any(locks.glob("*.lock"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    started.kill()
    started.wait()
    assert any(locks.glob("*.lock"))
    done = workflow.run(target)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert f"(process {started.pid}) was killed. What it finished is kept." in text
    assert "Its lock on this folder is taken over." in text
    assert (workflow.folder / target).exists()
    assert not locks.exists()


def test_bad_scans_are_set_aside_and_the_others_are_not_touched(workflow, scans):
    own = workflow.overlay("own", dataset(scans))
    target = "results/mine/cohort/split.csv"
    assert workflow.run(target, configs=("configs/smoke.yaml", own)).returncode == 0
    subjects = workflow.folder / "results/mine/subjects"
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in subjects.rglob("*") if p.is_file()}

    ct = np.full((8, 8, 8), -1000, np.int16)
    (scans / "truncated").mkdir()
    good = (scans / "good0" / "ct.nii.gz").read_bytes()
    (scans / "truncated" / "ct.nii.gz").write_bytes(good[: len(good) // 3])
    (scans / "text").mkdir()
    (scans / "text" / "ct.nii.gz").write_text("hello\n")
    save_nifti(np.zeros((8, 8, 8, 2), np.int16), scans / "fourd" / "ct.nii.gz")
    save_nifti(ct * 0, scans / "zeros" / "ct.nii.gz")
    nan = ct.astype(np.float32)
    nan[0] = np.nan
    save_nifti(nan, scans / "nan" / "ct.nii.gz")
    make_scan(scans / "shape")
    save_nifti(np.ones((4, 4, 4), np.uint8), scans / "shape" / "segmentations" / "liver.nii.gz")
    make_scan(scans / "affine")
    mask = np.ones((40, 32, 30), np.uint8)
    save_nifti(mask, scans / "affine" / "segmentations" / "liver.nii.gz", np.diag([4.0, 4.0, 4.0, 1.0]))
    (scans / "maskonly" / "segmentations").mkdir(parents=True)
    make_scan(scans / "bad name", slices=8)

    done = workflow.run(target, configs=("configs/smoke.yaml", own))
    assert done.returncode == 0, done.stderr
    table = read_patient_csv(workflow.folder / "results/mine/cohort/selection.csv").set_index("subject")
    reasons = {
        "truncated": "truncated or corrupt",
        "text": "not a readable NIfTI",
        "fourd": "4 dimensions",
        "zeros": "every voxel is 0",
        "nan": "NaN or infinite",
        "shape": "mask has shape",
        "affine": "different grids",
        "maskonly": "no mask of any organ",
        "bad name": "name holds other characters",
    }
    for subject, reason in reasons.items():
        assert table.loc[subject, "status"] == "set aside"
        assert reason in table.loc[subject, "reason"]
    assert (table["status"] == "selected").sum() == 3
    for path, (content, written) in before.items():
        assert path.read_bytes() == content
        assert path.stat().st_mtime_ns == written


def test_too_few_patients_is_an_error_that_lists_the_reasons(workflow, scans):
    (scans / "text").mkdir()
    (scans / "text" / "ct.nii.gz").write_text("hello\n")
    content = dataset(scans, split={"val": 1, "test": 2})
    text = failure(workflow, content, "results/mine/cohort/split.csv")
    assert "3 selected patients, but 2 for test, 1 for val" in text
    last = text[text.rindex("Error in split_patients: ") :]
    assert "  text: " in last
    assert last.rstrip().endswith("Log: results/mine/logs/split_patients.log")
    assert text.count("3 selected patients") == 1
    assert (workflow.folder / "results/mine/cohort/selection.csv").exists()


def test_a_label_that_never_occurs_is_named(workflow, scans):
    content = dataset(scans, labels=[*ORGANS, "livr"])
    text = failure(workflow, content, "results/mine/cohort/split.csv")
    assert "labels: unknown 'livr'" in text
    assert "did you mean 'liver'" in text


def test_two_subjects_of_one_name(workflow, scans, tmp_path):
    make_scan(tmp_path / "more" / "good1")
    content = dataset(scans)
    content["datasets"]["mine"]["path"] = [str(scans), str(tmp_path / "more")]
    assert "two subjects are named 'good1'" in failure(workflow, content)


def test_a_full_disk_is_explained():
    with pytest.raises(OSError, match="No space") as caught:
        Path("/dev/full").write_text("x")
    assert "the disk is full" in explain(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_explained(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PivmError, match="no permission"):
        require_writable(str(tmp_path / "results"))


def test_a_read_only_file_system_is_explained():
    text = explain(OSError(errno.EROFS, os.strerror(errno.EROFS), "results/x"))
    assert text.startswith("results/x: ")
    assert "read-only" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_where_there_is_none_is_an_error():
    with pytest.raises(PivmError, match=r"compute\.device is gpu, but torch .* finds no GPU on .* nvidia-smi"):
        device(job_on("gpu"))
    assert device(job_on("auto")).type == device(job_on("cpu")).type == "cpu"


def job_on(wanted: str, threads: int = 1) -> SimpleNamespace:
    tracked = {"device": wanted, "precision": "auto", "threads": threads}
    return SimpleNamespace(threads=8, params=SimpleNamespace(compute=tracked, machine={}))


def test_the_threads_of_a_training_are_those_of_the_config():
    before = torch.get_num_threads()
    device(job_on("cpu", threads=2))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
