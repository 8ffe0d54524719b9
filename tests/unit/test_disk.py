"""A disk that fills up ends in a message, with nothing half written; a training goes on without its state."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pivm.cohort.store import new_array
from pivm.errors import disk_error
from pivm.job import explain, job
from pivm.job.failures import read_message
from pivm.learning.model_files import save_model
from pivm.learning.resume import Resume

SIZE = 2**20
BIG = {"weight": torch.zeros(SIZE)}
SMALL = {"weight": torch.zeros(9)}


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here (not root)")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def unable(number: int):
    def call(*_):
        raise OSError(number, os.strerror(number))

    return call


def test_space_for_an_array_is_taken_before_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", unable(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as caught:
        new_array(tmp_path / "hu.npy", np.int16, (10, 8, 8))
    assert explain(caught.value).startswith(f"{tmp_path}/hu.npy: No space left on device: the disk is full; free some")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [None, errno.EOPNOTSUPP, errno.EINVAL])
def test_the_space_is_taken_on_every_file_system(tmp_path, monkeypatch, number):
    if number:
        monkeypatch.setattr(os, "posix_fallocate", unable(number))
    monkeypatch.setattr("pivm.cohort.store._BLOCK", 1000)
    array = new_array(tmp_path / "hu.npy", np.int16, (100, 32, 32))
    assert os.stat(tmp_path / "hu.npy").st_blocks * 512 >= array.nbytes
    array[7] = 3
    array.flush()
    again = np.load(tmp_path / "hu.npy")
    assert (again[7] == 3).all()
    assert not again[:7].any()
    assert not again[8:].any()


@pytest.mark.parametrize("number", [None, errno.EOPNOTSUPP])
def test_an_array_on_a_full_disk(disk, monkeypatch, number):
    if number:
        monkeypatch.setattr(os, "posix_fallocate", unable(number))
    new_array(disk / "small.npy", np.uint8, (SIZE // 4,))
    with pytest.raises(OSError, match="No space left"):
        new_array(disk / "hu.npy", np.int16, (SIZE // 2,))
    assert [path.name for path in disk.iterdir()] == ["small.npy"]


def test_a_training_goes_on_without_its_state(disk, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("pivm"), "propagate", True)
    resume = Resume(disk / "resume-1.pt", every=0)
    for step, weights, stands in ((3, BIG, None), (4, SMALL, 4), (5, BIG, 4), (6, SMALL, 6)):
        caplog.clear()
        with caplog.at_level("WARNING", "pivm"):
            resume.save(lambda step=step, weights=weights: {"step": step, **weights})
        assert [path.name for path in disk.iterdir()] == (["resume-1.pt"] if stands else [])
        if stands:
            assert torch.load(disk / "resume-1.pt", weights_only=True)["step"] == stands
        if weights is BIG:
            kept = f"that of step {stands} is kept" if stands else "none is kept yet"
            assert f"the state of step {step} cannot be saved, {kept}" in caplog.text
            assert "No space left on device; the training goes on" in caplog.text
        else:
            assert caplog.text == ""


def test_another_error_of_a_state_is_no_full_disk(tmp_path):
    with pytest.raises(Exception, match="pickle"):
        Resume(tmp_path / "resume-1.pt", every=0).save(lambda: {"step": 1, "code": lambda: 0})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: save_model(folder, BIG, {}),
        lambda folder: np.save(folder / "hu.npy", np.zeros(SIZE)),
        lambda folder: torch.save(BIG, open(folder / "x.pt", "wb")),  # noqa: SIM115
        lambda folder: (folder / "x.csv").write_text("1" * 2 * SIZE),
    ],
    ids=["safetensors", "numpy", "torch", "text"],
)
def test_every_writer_is_explained(disk, tmp_path, write):
    job_of_rule = SimpleNamespace(log=[str(tmp_path / "rule.log")], rule="rule")
    with pytest.raises(SystemExit), job(job_of_rule):
        write(disk)
    shown = read_message(tmp_path / "rule.log")
    assert "No space left on device: the disk is full; free some space and run again" in shown
    assert "not an error this workflow knows" not in shown


def test_other_errors_are_no_full_disk():
    assert disk_error(FileNotFoundError(errno.ENOENT, "x")) is None
    assert disk_error(ValueError("3 requested, 2 written")) is None
    assert disk_error(None) is None
