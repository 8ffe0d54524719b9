"""The slice store: what was written is what is learnt from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pivm.cohort.store import DTYPES, SUMS, SliceStore
from pivm.errors import StateError

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
SIZE = 8


@pytest.fixture
def folder(tmp_path) -> Path:
    rng, parts = np.random.default_rng(0), []
    for subject in ("a", "b"):
        rows = pd.DataFrame({"subject": subject, "split": "train", "z": range(3), "role": "target"})
        rows["previous"], rows["pixel_mm"], rows["step_mm"] = [-1, 0, 1], 5.0, 10.0
        paths = {name: tmp_path / f"{subject}_{name}.npy" for name in SliceStore.ARRAYS}
        for name, path in paths.items():
            np.save(path, rng.integers(0, 2, (3, SIZE, SIZE)).astype(DTYPES[name]))
        parts.append((rows, paths))
    SliceStore.write(tmp_path / "store", parts, SIZE)
    return tmp_path / "store"


def test_a_store_is_what_was_written(folder):
    store = SliceStore.checked(folder)
    assert store.size == SIZE
    assert list(store.index["previous"]) == [-1, 0, 1, -1, 3, 4]
    for name in SliceStore.ARRAYS:
        expected = np.concatenate([np.load(folder.parent / f"{subject}_{name}.npy") for subject in "ab"])
        np.testing.assert_array_equal(getattr(store, name), expected)


@pytest.mark.parametrize("name", ["index.csv", *(f"{name}.npy" for name in SliceStore.ARRAYS)])
@pytest.mark.parametrize("place", [0, 0.3, 0.9, -1])
def test_a_flipped_bit_is_not_learnt_from(folder, name, place):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if place != -1 else -1] ^= 0b100
    path.write_bytes(content)
    with pytest.raises(StateError, match=f"{name}: damaged since it was written .* delete the folder .* and run again"):
        SliceStore.checked(folder)


def test_a_store_without_hashes_is_not_learnt_from(folder):
    (folder / SUMS).unlink()
    with pytest.raises(StateError, match="SHA256SUMS: no such file; delete the folder and run again"):
        SliceStore.checked(folder)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_the_hashes_are_those_of_sha256sum(folder):
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, check=True, capture_output=True)


def test_every_training_checks_its_store():
    texts = {path.name: path.read_text() for path in SCRIPTS.glob("*.py")}
    learning = {name for name, text in texts.items() if "training_run(" in text and "SliceStore" in text}
    assert {
        *("train_segmenter.py", "privacy_control.py"),
        *("maisi_autoencoder.py", "maisi_diffusion.py", "maisi_controlnet.py"),
    } == learning
    texts["pivm/generators/fitting.py"] = (SCRIPTS / "pivm/generators/fitting.py").read_text()
    for name in (*learning, "organ_means.py", "pivm/generators/fitting.py"):
        assert "SliceStore.checked(" in texts[name], name
        assert "SliceStore(" not in texts[name], name
