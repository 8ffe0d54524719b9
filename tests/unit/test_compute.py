"""Precision per device, and memory errors that name the setting to halve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from pivm.config import generator_settings
from pivm.errors import PivmError
from pivm.evaluation.continuity import volume_continuity
from pivm.generators.controls.prior_map import PriorMap
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.kinds import GeneratorSettings
from pivm.generators.maisi import stages
from pivm.generators.maisi.generator import MaisiGenerator
from pivm.generators.maisi.settings import MaisiSamplerSettings, MaisiSettings, SlabSettings
from pivm.generators.maisi.slabs import Slab
from pivm.learning.device import COMPILE_FROM_STEPS, autocast, low_precision, memory_hint, pays_to_compile
from pivm.learning.loop import Run
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.settings import SegmenterSettings
from pivm.synthesis import inference
from pivm.synthesis.label_sources import Chosen
from pivm.synthesis.slices import synthesise_slices
from snakemake.utils import update_config

from tests.unit import test_training

ROOT = Path(__file__).parents[2]
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
    message = rf"{where} ran out of memory: set segmentation.batch to 4 \(it is 8\) and run again"
    with pytest.raises(PivmError, match=message), memory_hint("segmentation.batch", 8):
        raise error


def test_nothing_is_left_to_halve():
    with pytest.raises(PivmError, match="is 1 already"), memory_hint("synthesis.batch", 1):
        raise MemoryError


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), memory_hint("synthesis.batch", 4):
        raise RuntimeError("shapes do not match")


def full(*args, **kwargs):
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_training_names_its_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(DiffusionGenerator, "_loss", full)
    with pytest.raises(PivmError, match=r"set diffusion\.training\.batch to 2 \(it is 4\)"):
        test_training.fit(tmp_path)


class Slabs:
    """Two slabs of air."""

    spacing = torch.ones(2, 3)

    def __len__(self):
        return 2

    def hu(self, which):
        return torch.full((len(which), 1, 16, 16, 16), -1000, dtype=torch.int16)

    def label_map(self, which):
        return np.zeros((len(which), 16, 16, 16), np.uint8)


def maisi(monkeypatch, batch: int) -> MaisiGenerator:
    """With settings alone, out of memory when it generates."""
    generator = object.__new__(MaisiGenerator)
    generator.settings, generator.slab = (
        MaisiSettings(name="m", kind="maisi", sampler=MaisiSamplerSettings(3, batch)),
        Slab(16, 8, 2),
    )
    generator.prior = test_training.PRIOR
    for method in ("generate", "generate_sources", "generate_volumes"):
        monkeypatch.setattr(MaisiGenerator, method, full)
    return generator


def slice_wise(monkeypatch, batch: int) -> PriorMap:
    monkeypatch.setattr(PriorMap, "generate", full)
    return PriorMap(GeneratorSettings(name="p", kind="prior_map"), test_training.PRIOR, CPU)


SYNTHESIS = [
    (slice_wise, 4, r"set synthesis\.batch to 8 \(it is 16\)"),
    (maisi, 4, r"set maisi\.sampler\.batch to 2 \(it is 4\)"),
    (maisi, 1, r"set maisi\.slab\.depth to 8 \(it is 16\)"),
]


@pytest.mark.parametrize(("make", "batch", "message"), SYNTHESIS)
def test_synthesis_names_the_setting_of_its_generator(tmp_path, monkeypatch, make, batch, message):
    generator, prior = make(monkeypatch, batch), test_training.PRIOR
    maps, index = np.zeros((4, 8, 8), np.uint8), pd.DataFrame({"subject": ["a"] * 4, "patient": ["a"] * 4})
    chosen = Chosen("train", SimpleNamespace(size=8, labels=maps, body=maps > 0, index=index), np.arange(4))
    with pytest.raises(PivmError, match=message):
        synthesise_slices(generator, [chosen], 16, 1, {"model": "hash", "code": "c"}, tmp_path)
    source = SimpleNamespace(label_map=maps)
    with pytest.raises(PivmError, match=message):
        volume_continuity(source, np.zeros((4, 8, 8), np.int16), generator, prior, 16, 1)


@pytest.mark.parametrize(
    ("make", "batch", "message"),
    [
        (
            slice_wise,
            4,
            r"use the CPU \(--device cpu\), or labels that are cropped to half as many slices, and",
        ),
        (maisi, 4, r"set batch in model/sampler\.json to 2 \(it is 4\)"),
        (maisi, 1, "use the CPU"),
    ],
)
def test_one_volume_from_a_folder_names_what_lies_in_the_folder(monkeypatch, make, batch, message):
    labels = SimpleNamespace(name="labels", stored=None, label_map=SimpleNamespace(grid=None, array=None))
    source = SimpleNamespace(label_map=np.zeros((4, 8, 8), np.uint8), spacing_mm=(1, 1, 1))
    anatomy = inference.Anatomy(labels, source, ("a",), 0, labels)
    generator = make(monkeypatch, batch)
    opened = SimpleNamespace(
        organs=("a", "b"),
        trained_on=SimpleNamespace(image_size=8, below_mm=None),
        prior=test_training.PRIOR,
        folder=Path("model"),
        load=lambda device: generator,
    )
    monkeypatch.setattr(inference.ModelFolder, "open", lambda folder: opened)
    monkeypatch.setattr(inference, "model_hash", lambda folder: "hash")
    monkeypatch.setattr(inference.CTGenerator, "read", lambda *args, **options: anatomy)
    with pytest.raises(PivmError, match=message):
        inference.generate_ct(Path("model"), Path("labels.nii.gz"))


def test_applying_a_segmenter_names_its_own_batch(monkeypatch):
    segmenter = Segmenter(SegmenterSettings(depth=3, decoder_channels=(8, 8, 8)), 3, CPU)
    monkeypatch.setattr(segmenter.net, "forward", full)
    with pytest.raises(PivmError, match=r"set segmentation\.test_batch to 2 \(it is 4\)"):
        segmenter.predict(np.zeros((8, 32, 32), np.int16), 4)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("autoencoder", r"set maisi\.autoencoder\.batch to 1 \(it is 2\)"),
        ("diffusion", r"set maisi\.slab\.depth to 8 \(it is 16\)"),
        ("controlnet", r"set maisi\.slab\.depth to 8 \(it is 16\)"),
    ],
)
def test_stages_of_maisi_name_the_batch_or_the_slab(tmp_path, monkeypatch, stage, message):
    """The later two encode all slabs first, one by one."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(config, yaml.safe_load((ROOT / "configs/smoke.yaml").read_text()))
    settings = replace(generator_settings(config, "maisi"), slab=SlabSettings(16, 8, (-1000, 1000)))
    nets = stages.make_networks(settings, CPU, 1)
    monkeypatch.setattr(nets.autoencoder, "encode", full)
    data = Slabs()
    with pytest.raises(PivmError, match=message):
        getattr(stages, f"fit_{stage}")(stages.Stage(nets, settings, data, None, 1), Run(tmp_path / "losses.csv"))
