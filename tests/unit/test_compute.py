"""Precision per device, and memory errors that name the setting to halve."""

from __future__ import annotations

import pytest
import torch
from pivm.compute import COMPILE_FROM_STEPS, autocast, low_precision, memory_hint, pays_to_compile
from pivm.errors import PivmError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_auto_takes_the_best_type_of_the_gpu(monkeypatch, has_bf16, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert low_precision("auto", GPU) is expected
    assert low_precision("auto", CPU) is None
    assert low_precision("fp32", GPU) is None
    assert low_precision("fp16", GPU) is torch.float16


def test_autocast_runs_layers_in_the_low_type_and_leaves_float32_alone():
    layer, x = torch.nn.Linear(4, 4), torch.ones(2, 4)
    with autocast(CPU, "bf16"):
        assert layer(x).dtype == torch.bfloat16
        assert torch.nn.functional.mse_loss(layer(x).float(), x).dtype == torch.float32
    with autocast(CPU, "auto"):
        assert layer(x).dtype == torch.float32


def test_compiling_is_for_long_runs_on_a_gpu(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/cc")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert pays_to_compile("auto", GPU, COMPILE_FROM_STEPS)
    assert not pays_to_compile("auto", GPU, COMPILE_FROM_STEPS - 1)
    assert not pays_to_compile("auto", CPU, 10**6)
    assert pays_to_compile(True, CPU, 1)
    assert not pays_to_compile(False, GPU, 10**6)


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "the GPU"),
        (MemoryError(), "this machine"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "this machine"),
    ],
)
def test_out_of_memory_names_the_setting(error, where):
    message = f"{where} ran out of memory at segmentation.batch = 8: set .* to 4"
    with pytest.raises(PivmError, match=message), memory_hint("segmentation.batch", 8):
        raise error


def test_nothing_is_left_to_halve():
    with pytest.raises(PivmError, match="is 1 already"), memory_hint("synthesis.batch", 1):
        raise MemoryError


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), memory_hint("synthesis.batch", 4):
        raise RuntimeError("shapes do not match")


def test_jobs_that_use_memory_name_their_own_setting(tmp_path, monkeypatch):
    from pivm.generators.diffusion import DiffusionGenerator

    from tests.unit.test_training import fit

    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(DiffusionGenerator, "_loss", full)
    with pytest.raises(PivmError, match=r"diffusion\.training\.batch = 4: set diffusion\.training\.batch to 2"):
        fit(tmp_path)
