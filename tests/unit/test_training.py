"""The training loop: seeded by step, bit-identical after a kill, honest about a loss that explodes."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from pivm.cohort.prior import Prior
from pivm.errors import PivmError, StateError
from pivm.generators.diffusion.generator import DiffusionGenerator
from pivm.generators.diffusion.settings import DiffusionSettings
from pivm.generators.model_folder import ModelFolder, TrainedOn, save_generator
from pivm.generators.sampler_file import write_sampler
from pivm.generators.training_data import TrainingData
from pivm.learning.batches import Batches
from pivm.learning.loop import Run, Schedule, train
from pivm.learning.model_files import load_model, require_tensors, save_model
from pivm.learning.resume import Resume
from pivm.seeds import derived_seed, step_generator
from pivm.segmentation.segmenter import Segmenter
from pivm.segmentation.settings import SegmenterSettings
from pivm.settings import read_settings

MADE = {"code": "0" * 16, "versions": {"torch": "2.13.0"}}
PRIOR = Prior(
    "body",
    ("a", "b"),
    ("a", "b"),
    (-950.0, 40.0, 200.0, -80.0),
    (9, 9, 9, 9),
    60.0,
    (150.0, 20.0, 90.0, 55.5),
    -300.0,
    400.0,
    (-1024, 900),
)
VALUES = {
    "name": "pivm",
    "kind": "diffusion",
    "target": "variation",
    "condition": ["labels", "prior", "previous"],
    # 16 channels of detail: with 8 a norm group is one channel, the bias before it has no effect, and its weights drift
    "network": {"label_channels": 4, "channels": [16, 24], "blocks": 1, "attention": True, "detail_channels": 16},
    "noise": {"steps": 1000, "prediction": "v", "zero_terminal_snr": True, "shift": 1.0, "scale": "global"},
    "sampler": {"name": "dpm++", "steps": 4, "guidance": 1.0, "reach": 0.5, "previous_from": 1.0},
    "training": {
        "batch": 4,
        "epochs": 10,
        "learning_rate": 2e-3,
        "halve_every_epochs": 3,
        "betas": [0.9, 0.99],
        "ema_decay": 0.9,
        "drop_previous": 0.5,
        "noise_previous": 0.2,
        "model_previous": 0.5,
        "drop_labels": 0.1,
    },
}


def settings(**changes: dict) -> DiffusionSettings:
    """The settings of these tests with single keys of sections changed."""
    sections = {name: {**VALUES[name], **values} for name, values in changes.items()}
    return read_settings(DiffusionSettings, {**VALUES, **sections}, "test")


SETTINGS = settings()


def slices(n=8, size=16) -> TrainingData:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (n, size, size)).astype(np.uint8)
    body = rng.random((n, size, size)) < 0.8
    hu = (PRIOR.map(PRIOR.label_map(labels, body)) + rng.normal(0, 30, labels.shape)).astype(np.int16)
    previous = np.array([-1, *range(n - 1)])
    scans = [f"scan_{i // 2}" for i in range(n)]
    store = SimpleNamespace(hu=hu, labels=labels, body=body, index=pd.DataFrame({"subject": scans, "patient": scans}))
    return TrainingData(store, PRIOR, np.arange(n), previous)


def fit(folder: Path, resume: Resume | None = None, **changes) -> DiffusionGenerator:
    torch.manual_seed(0)
    generator = DiffusionGenerator(settings(training=changes), PRIOR, torch.device("cpu"))
    generator.fit(slices(), slices(4), 7, Run(folder / "losses.csv", resume or Resume(None)))
    return generator


def weights(generator):
    return torch.cat([p.flatten() for p in generator.net.state_dict().values()])


def test_the_same_seed_gives_the_same_weights(tmp_path):
    assert torch.equal(weights(fit(tmp_path)), weights(fit(tmp_path)))


def test_the_loss_falls_and_is_logged_with_the_validation_loss(tmp_path):
    # few steps: later the network knows these eight noisy slices by heart, and the validation loss rises again
    fit(tmp_path, epochs=14, learning_rate=1e-3, halve_every_epochs=0)
    rows = list(csv.DictReader((tmp_path / "losses.csv").read_text().splitlines()))
    assert int(rows[-1]["step"]) == 28
    assert float(rows[-1]["validation_loss"]) < float(rows[0]["validation_loss"])
    losses = [float(row["loss"]) for row in rows]  # of single steps, each at its own noise levels
    assert np.mean(losses[-7:]) < np.mean(losses[:7])


_KILLED = """
import sys, time
from pathlib import Path
import torch
from tests.unit.test_training import fit
from pivm.learning import loop as training
from pivm.learning.model_files import save_model

folder, saves = Path(sys.argv[1]), 0
torch.set_num_threads(1)
done = training.Resume.save
def slow(self, make):
    global saves
    done(self, make)
    saves += 1
    if saves == 7 and not (folder / "saved").exists():
        (folder / "saved").touch()
        time.sleep(60)  # to be killed here
training.Resume.save = slow
generator = fit(folder, training.Resume(folder / "resume-x.pt", every=0), epochs=22)
save_model(folder, generator.weights(), {})
"""


def test_killed_and_started_again_ends_in_the_same_weights_and_losses(tmp_path):
    """44 steps, a row every 2: the kill after 7 steps falls into the middle of a period."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    straight = weights(fit(tmp_path, epochs=22))
    torch.set_num_threads(threads)
    losses = (tmp_path / "losses.csv").read_bytes()
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": f"workflow_scripts{os.pathsep}."}
    process = subprocess.Popen(command, env=env)
    for _ in range(600):
        if (tmp_path / "saved").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert torch.load(tmp_path / "resume-x.pt", weights_only=True)["step"] == 7
    subprocess.run(command, env=env, check=True)
    resumed, _ = load_model(tmp_path)
    resumed.pop("organ_shares")  # of the noise, no weights of the network
    assert torch.equal(torch.cat([p.flatten() for p in resumed.values()]).sort()[0], straight.sort()[0])
    assert (tmp_path / "losses.csv").read_bytes() == losses


def linear(tmp_path, loss_factor, name="boom", **options):
    """Train one weight; ``loss_factor(step)`` multiplies the loss."""
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1)
    return train(
        model,
        lambda step: model(torch.ones(1, 1)).square().sum() * loss_factor(step),
        Schedule(20, 1e-3),
        Run(tmp_path / "losses.csv", **options),
        batch=1,
        validate_every=5,
        name=name,
    )


def test_an_exploding_loss_stops_with_the_step_and_keeps_the_state_of_before(tmp_path):
    resume = Resume(tmp_path / "resume-x.pt", every=0)
    with pytest.raises(PivmError, match=r"boom: the loss .* NaN or infinite at step 4; .* good state: .*resume-x\.pt"):
        linear(tmp_path, lambda step: float("nan") if step == 3 else 1.0, resume=resume)
    kept = torch.load(resume.path, weights_only=True)
    assert kept["step"] == 3
    assert all(torch.isfinite(v).all() for v in kept["model"].values())


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04\x95pickle", b"PK\x03\x04 half a zip"])
def test_a_damaged_state_is_named_and_not_taken_up(tmp_path, content):
    (tmp_path / "resume-x.pt").write_bytes(content)
    with pytest.raises(StateError, match=r"resume-x\.pt: the saved state .* cannot be read .*delete it to start anew"):
        linear(tmp_path, lambda step: 1.0, resume=Resume(tmp_path / "resume-x.pt"))


def test_an_infinite_gradient_of_a_finite_loss_stops_too(tmp_path):
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    with pytest.raises(PivmError, match="at step 1;"):
        train(model, lambda step: model.weight.abs().sqrt().sum(), Schedule(3, 1.0), Run(tmp_path / "l.csv"), batch=1)


def test_losses_repeat_and_timings_stand_beside_them(tmp_path):
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        linear(tmp_path / name, lambda step: 1.0)
        files.append((tmp_path / name / "losses.csv").read_bytes())
    assert files[0] == files[1]
    rows = list(csv.DictReader(files[0].decode().splitlines()))
    assert [int(r["step"]) for r in rows] == [5, 10, 15, 20]
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1)
    first = model(torch.ones(1, 1)).square().sum()
    first.backward()
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    # four more steps of 1e-3 change both by little
    assert float(rows[0]["loss"]) == pytest.approx(first.item(), rel=0.1)
    assert float(rows[0]["gradient_norm"]) == pytest.approx(norm.item(), rel=0.1)
    stats = list(csv.DictReader((tmp_path / "a" / "stats.csv").read_text().splitlines()))
    for row in stats:
        assert float(row["samples_per_second"]) == pytest.approx(1 / float(row["step_seconds"]))
        assert int(row["memory_mib"]) > 50
        assert row["gpu_memory_mib"] == ""


def test_the_log_says_how_far_a_training_is(tmp_path, caplog):
    with caplog.at_level("INFO", logger="pivm"):
        linear(tmp_path, lambda step: 1.0, name="toy")
    *halfway, last = [record.getMessage() for record in caplog.records]
    assert [line.split(",")[0] for line in halfway] == [f"toy: step {step} of 20" for step in (5, 10, 15)]
    assert all(re.search(r"loss [\d.e+-]+, [\d.e+]+ samples/s, \d+\.\d min to go$", line) for line in halfway)
    assert re.search(r"^toy: step 20 of 20, .* took \d+\.\d min, \d+ MiB$", last)


def test_tensorboard_gets_the_same_numbers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):  # a second training of the name replaces the curves of the first
        linear(tmp_path, lambda step: 1.0, tensorboard=tmp_path / "events")
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    rows = list(csv.DictReader((tmp_path / "losses.csv").read_text().splitlines()))
    for key in ("loss", "learning_rate", "gradient_norm"):
        assert [e.step for e in events.Scalars(key)] == [5, 10, 15, 20]
        assert [e.value for e in events.Scalars(key)] == pytest.approx([float(r[key]) for r in rows])
    assert "step_seconds" in events.Tags()["scalars"]


def test_fp16_scales_the_loss_and_its_scaler_is_resumed(tmp_path):
    straight = linear(tmp_path, lambda step: 1.0, precision="fp16")
    resume = Resume(tmp_path / "resume-x.pt", every=0)
    with pytest.raises(PivmError):
        linear(tmp_path, lambda step: float("nan") if step == 6 else 1.0, precision="fp16", resume=resume)
    # the gradient of the first step overflows at the initial scale of 65,536: skipped, and no fault
    assert torch.load(resume.path, weights_only=True)["scaler"]["scale"] == 32768
    resumed = linear(tmp_path, lambda step: 1.0, precision="fp16", resume=resume)
    assert all(torch.equal(straight[k], resumed[k]) for k in straight)


def test_every_row_comes_once_per_epoch():
    batches = Batches(rows=10, batch=4, seed=1)
    seen = torch.cat([batches.at(i) for i in range(5)])
    assert sorted(seen[:10].tolist()) == list(range(10))
    assert sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()


def test_steps_are_seeded_independently_of_each_other():
    draws = [torch.rand(3, generator=step_generator(5, "step", i)) for i in (0, 1, 0)]
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])
    assert len({derived_seed(1, "a"), derived_seed(1, "b"), derived_seed(2, "a")}) == 3


def test_the_learning_rate_halves_as_in_the_paper():
    schedule = Schedule(steps=100, learning_rate=1e-4, halve_every=20)
    assert [schedule.rate(s) for s in (0, 19, 20, 40, 99)] == [1e-4, 1e-4, 5e-5, 2.5e-5, 1e-4 / 16]


def test_full_hu_range_survives_encoding():
    generator = DiffusionGenerator(SETTINGS, PRIOR, torch.device("cpu"))
    hu = torch.arange(-1024, 900, dtype=torch.int16)[: 16 * 16].reshape(1, 16, 16)
    maps = torch.randint(0, 4, (1, 16, 16))
    for target, scaling in (("variation", "global"), ("variation", "organ"), ("absolute", "global")):
        signal = type(generator.signal)(target, scaling, PRIOR)
        assert torch.equal(signal.decode(signal.encode(hu, maps), maps), hu)


def test_a_generated_slice_depends_on_its_own_seed_alone(tmp_path):
    generator = fit(tmp_path)
    maps = slices().batch(torch.arange(3))[1].numpy().astype(np.uint8)
    together = generator.generate(maps, [1, 2, 3])
    alone = generator.generate(maps[1:2], [2])
    assert together.dtype == np.int16
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1  # one rounding of HU between batch sizes


def test_volumes_start_from_a_generated_slice_and_follow_the_one_below(tmp_path):
    generator = fit(tmp_path)
    maps = [slices(5).batch(torch.arange(5))[1].numpy().astype(np.uint8) for _ in range(2)]
    maps[1] = maps[1][:3]
    volumes = list(generator.generate_volumes(maps, [10, 20]))
    assert [len(v) for v in volumes] == [5, 3]
    first = generator.generate(np.stack([maps[0][0], maps[1][0]]), [10, 20])
    np.testing.assert_array_equal(volumes[0][0], first[0])
    alone = generator.generate(maps[0][4:5], [14])
    assert (volumes[0][4] != alone[0]).any()


def test_a_volume_has_the_noise_of_its_slices_where_nothing_couples_them(tmp_path):
    generator = fit(tmp_path)
    maps = slices(5).batch(torch.arange(5))[1].numpy().astype(np.uint8)
    generator.settings = settings(sampler={"reach": 0.0, "previous_from": 0.0})
    (volume,) = generator.generate_volumes([maps], [10])
    slices_alone = generator.generate(maps, [10, 11, 12, 13, 14], [10] * 5)  # of one patient, as a volume is
    assert np.abs(volume.astype(int) - slices_alone).max() <= 1


def test_guidance_moves_the_prediction_away_from_that_without_labels(tmp_path):
    generator = fit(tmp_path)
    noisy, t = torch.randn(2, 1, 16, 16), torch.tensor([300, 700])
    maps = slices().batch(torch.arange(2))[1].long()
    with torch.no_grad():
        known = generator.predict(noisy, t, maps, None)
        blind = generator.predict(noisy, t, maps, None, torch.zeros(2, 1, 1, 1))
        assert torch.equal(generator._guided(noisy, t, maps, None, None), known)
        generator.settings = settings(sampler={"guidance": 3.0})
        torch.testing.assert_close(generator._guided(noisy, t, maps, None, None), 3 * known - 2 * blind)
        # without labels the label map makes no difference
        other = generator.predict(noisy, t, (maps + 1) % 4, None, torch.zeros(2, 1, 1, 1))
    assert torch.equal(blind, other)
    assert not torch.allclose(known, blind)


class TestModelFiles:
    def test_a_model_comes_back(self, tmp_path):
        save_model(tmp_path, {"w": torch.arange(3.0)}, {"settings": {"a": 1}})
        loaded, facts = load_model(tmp_path)
        assert torch.equal(loaded["w"], torch.arange(3.0))
        assert facts == {"settings": {"a": 1}}

    @pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x80\x04\x95pickle"])
    def test_foreign_or_truncated_weights_are_refused(self, tmp_path, content):
        save_model(tmp_path, {"w": torch.arange(3.0)}, {})
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(StateError, match=r"not a complete model \(model.safetensors: truncated or no safetensors"):
            load_model(tmp_path)

    @pytest.mark.parametrize("content", ["[]", "null", '{"settings":'])
    def test_foreign_or_truncated_facts_are_refused(self, tmp_path, content):
        save_model(tmp_path, {"w": torch.arange(3.0)}, {})
        (tmp_path / "model.json").write_text(content)
        with pytest.raises(StateError, match=r"not a complete model \(model.json: "):
            load_model(tmp_path)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ({"w": torch.zeros(2)}, "weight 'b' is missing, the network wants \\(1,\\)"),
            ({"w": torch.zeros(2), "b": torch.zeros(1), "x": torch.zeros(1)}, "weight 'x' is none of the network"),
            ({"w": torch.zeros(3), "b": torch.zeros(1)}, r"weight 'w' has shape \(3,\), the network wants \(2,\)"),
            ({"w": torch.tensor([0, float("nan")]), "b": torch.zeros(1)}, "weight 'w' holds NaN or infinite numbers"),
        ],
    )
    def test_weights_that_do_not_fit_are_named(self, tmp_path, weights, message):
        with pytest.raises(StateError, match=message):
            require_tensors({"w": (2,), "b": (1,)}, weights, tmp_path)

    def test_a_segmenter_of_another_label_set_is_refused(self, tmp_path):
        unet = SegmenterSettings(depth=3, decoder_channels=(8, 8, 8))
        Segmenter(unet, 14, torch.device("cpu")).save(tmp_path, {})
        assert Segmenter.load(tmp_path, 14, torch.device("cpu")).classes == 14
        with pytest.raises(StateError, match="another label set, of 14 labels with the background, asked for 35"):
            Segmenter.load(tmp_path, 35, torch.device("cpu"))

    def test_weights_of_another_network_name_the_first_mismatch(self, tmp_path):
        generator = DiffusionGenerator(SETTINGS, PRIOR, torch.device("cpu"))
        other = DiffusionGenerator(settings(network={"label_channels": 6}), PRIOR, torch.device("cpu"))
        with pytest.raises(StateError, match=r"weight 'embed.weight' has shape \(4, 4\), the network wants \(4, 6\)"):
            other.put(generator.weights(), tmp_path)

    def test_a_loaded_generator_samples_as_its_folder_says(self, tmp_path):
        torch.manual_seed(0)
        generator = DiffusionGenerator(settings(training={"drop_labels": 0.0}), PRIOR, torch.device("cpu"))
        save_generator(generator, tmp_path, TrainedOn(("p",), 1, 16, {}), MADE)
        maps, made = slices(1).batch(torch.arange(1))[1].numpy(), []
        for steps in (2, 4, 4):
            write_sampler(tmp_path, {**VALUES["sampler"], "steps": steps})
            made.append(ModelFolder.open(tmp_path).load(torch.device("cpu")).generate(maps, [1]))
        assert (made[0] != made[1]).any()
        np.testing.assert_array_equal(made[1], made[2])
        for changes, message in (
            ({"guidance": 2.0}, r"sampler\.json: guidance: found 2\.0, but generator 'pivm' never learns"),
            ({"steps": 1001}, r"sampler\.json: steps: found 1001, expected at most the 1000 steps"),
        ):
            write_sampler(tmp_path, {**VALUES["sampler"], **changes})
            with pytest.raises(StateError, match=message):
                ModelFolder.open(tmp_path).load(torch.device("cpu"))
