"""Two processes at one global batch are one process: same losses, same weights; failures come back as they are."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from pivm.errors import ConfigError, PivmError
from pivm.learning.model_files import load_model, save_model
from pivm.learning.processes import is_main, launch, part_of
from pivm.learning.settings import ComputeSettings

from tests.unit.test_training import fit


def train_and_save(folder: str, batch: int) -> None:
    torch.set_num_threads(1)
    generator = fit(Path(folder), batch=batch, epochs=10)
    if is_main():
        save_model(Path(folder), generator.weights(), {})


def curve(folder: Path) -> dict[str, list[float]]:
    rows = list(csv.DictReader((folder / "losses.csv").read_text().splitlines()))
    return {key: [float(r[key]) for r in rows] for key in ("loss", "validation_loss", "gradient_norm")}


def test_two_processes_train_as_one(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, devices in ((one, 1), (two, 2)):
        folder.mkdir()
        compute = ComputeSettings(devices=devices)
        launch(train_and_save, {"folder": str(folder), "batch": 4}, compute, tmp_path / "x.log")
    assert len(curve(one)["loss"]) == 20
    for key, values in curve(one).items():
        assert curve(two)[key] == pytest.approx(values, rel=1e-4), key
    weights = load_model(one)[0], load_model(two)[0]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two", "x.log"]


def test_the_error_of_a_process_is_that_of_the_job(tmp_path):
    """Started by a launcher of the user's own."""
    compute = ComputeSettings(launcher="torchrun --standalone --nproc-per-node 2")
    with pytest.raises(PivmError, match=r"training.batch: found 3, expected a multiple of the 2 processes"):
        launch(train_and_save, {"folder": str(tmp_path), "batch": 3}, compute, tmp_path / "x.log")


def test_one_process_takes_the_whole_batch(monkeypatch):
    assert part_of(5, "k") == slice(0, 5)
    monkeypatch.setattr("pivm.learning.processes.world", lambda: 2)
    with pytest.raises(ConfigError, match="k: found 5, expected a multiple of the 2"):
        part_of(5, "k")
