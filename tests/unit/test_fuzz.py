"""Some damaged files of each kind: none ends a run, all have a reason; benchmarks/fuzz_readers.py reads thousands."""

from __future__ import annotations

import io
import os
from argparse import Namespace

import numpy as np
import pydicom
import pytest
from pivm.datasets import Dataset
from pivm.errors import DataError, PivmError

from benchmarks.fuzz_damage import change_tag
from benchmarks.fuzz_inputs import KINDS, read_all
from benchmarks.fuzz_readers import fuzz

#: first seed and number of files of each kind; the seeds of the benchmark start with 0
SEEDS = {"slices": 40, "contours": 25, "segments": 12, "nifti": 120, "dataset_json": 120}


def outcome(kind, folder) -> tuple[str, str]:
    try:
        (record,) = read_all(kind, folder)
    except PivmError as error:
        return "named", str(error)
    return record.status, record.reason


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_no_damaged_file_ends_a_run(tmp_path, name):
    kind = KINDS[name]
    files = kind.build(tmp_path)
    (sound,) = read_all(kind, tmp_path)
    assert sound.status == "selected", sound.reason
    verdicts = []
    for seed in range(SEEDS[name]):
        target = files[seed % len(files)]
        content = target.read_bytes()
        target.write_bytes(kind.damage(content, np.random.default_rng(10_000 + seed)))
        status, reason = outcome(kind, tmp_path)
        verdicts.append(status)
        assert (status == "selected") == (not reason), seed
        if status == "named":
            assert name == "dataset_json", (seed, reason)
            assert "dataset.json" in reason or "no case found" in reason, (seed, reason)
        target.write_bytes(content)
    assert len(set(verdicts)) > 1, "no damage was felt, or all of it"


@pytest.mark.parametrize("content", ["[" * 100_000, "{", '{"labels": 1}', "\ufeff{}"])
def test_a_dataset_json_that_is_none_is_named(tmp_path, content):
    KINDS["dataset_json"].build(tmp_path)
    (tmp_path / "d/dataset.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError):
        Dataset("d", {"layout": "nnunet", "path": str(tmp_path / "d")}).listing()


@pytest.mark.filterwarnings("ignore")
def test_one_tag_can_be_damaged_twice():
    header = pydicom.Dataset()
    header.ImageType = "ORIGINAL"
    out = io.BytesIO()
    pydicom.dcmwrite(out, header, implicit_vr=False, little_endian=True, force_encoding=True)
    changed = [change_tag(out.getvalue(), np.random.default_rng(seed)) for seed in range(200)]
    assert len(set(changed)) > 50


def dies_now_and_then(name, numbers, seconds, gigabytes, results):
    """Stands in for the process that reads: number 2 kills it, and between 4 and 5 it dies by itself."""
    for number in numbers:
        if number == 5 != numbers.start:
            os._exit(1)
        results.send((number, "started", "", 0.0))
        if number == 2:
            os._exit(1)
        results.send((number, "selected", "", 0.0))


def test_every_damaged_file_is_counted_where_the_process_dies(capsys):
    options = Namespace(seconds=1, gigabytes=1.0, show=False)
    assert fuzz("nifti", range(8), options, dies_now_and_then) == {"selected": 6, "dies": 2}
    told = capsys.readouterr().out
    assert "nifti 2: the process died" in told
    assert "nifti 5: the process died" in told
