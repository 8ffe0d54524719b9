"""Noise process, sampler and network against closed forms and the reference library."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st
from pivm.generators.diffusion.along_z import coupled_noise
from pivm.generators.diffusion.network import Denoiser
from pivm.generators.diffusion.noise import PREDICTIONS, TERMINAL_SIGNAL, NoiseProcess, cosine_betas, process_betas
from pivm.generators.diffusion.sampler import make_scheduler, noise_steps, sample
from pivm.generators.diffusion.settings import NetworkSettings, NoiseSettings


def denoiser(condition=("labels", "prior", "previous"), channels=(16, 24), blocks=1) -> Denoiser:
    size = NetworkSettings(label_channels=4, channels=channels, blocks=blocks, detail_channels=8)
    return Denoiser(5, condition, size)


def test_signal_and_noise_have_unit_power():
    process = NoiseProcess(1000, True)
    torch.testing.assert_close(process.signal**2 + process.noise**2, torch.ones(1000))
    assert (process.signal.diff() < 0).all()


def test_the_last_step_is_pure_noise_only_with_zero_terminal_snr():
    assert NoiseProcess(1000, True).signal[-1] < 1e-3
    assert float(NoiseProcess(1000, False).signal[-1]) == pytest.approx(TERMINAL_SIGNAL, rel=0.2)
    assert float(NoiseProcess(1000, False, shift=0.25).signal[-1]) == pytest.approx(TERMINAL_SIGNAL, rel=0.2)
    torch.testing.assert_close(NoiseProcess(1000, True).signal[0], NoiseProcess(1000, False).signal[0])


@pytest.mark.parametrize("zero", [True, False])
def test_training_and_sampling_agree_on_noise_levels(zero):
    process, scheduler = NoiseProcess(1000, zero), make_scheduler("dpm++", NoiseSettings(zero_terminal_snr=zero))
    scheduler.set_timesteps(timesteps=noise_steps(1000, 10, 1.0))
    torch.testing.assert_close(scheduler.alphas_cumprod.sqrt(), process.signal, atol=1e-3, rtol=0)
    assert int(scheduler.timesteps[0]) == 999
    assert len(scheduler.timesteps) == 10


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_each_target_gives_the_clean_signal_back(prediction):
    process = NoiseProcess(1000, True)
    clean, noise = torch.randn(2, 8, 1, 4, 4).unbind(0)
    t = torch.randint(1, 998, (8,))
    z, target = process.add(clean, noise, t), process.target(clean, noise, t, prediction)
    a, s = (x[t][:, None, None, None] for x in (process.signal, process.noise))
    back = {"v": a * z - s * target, "epsilon": (z - s * target) / a, "sample": target}[prediction]
    torch.testing.assert_close(back, clean, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_step_is_that_of_ddim(prediction):
    process, scheduler = NoiseProcess(1000, True), make_scheduler("ddim", NoiseSettings(prediction=prediction))
    scheduler.set_timesteps(timesteps=noise_steps(1000, 4, 1.0))
    noisy, predicted = torch.randn(2, 3, 1, 4, 4).unbind(0)
    for t, to in itertools.pairwise(scheduler.timesteps[1:].tolist()):
        now, then = torch.full((3,), t), torch.full((3,), to)
        made = process.step(noisy, process.clean(noisy, predicted, now, prediction), now, then)
        torch.testing.assert_close(made, scheduler.step(predicted, t, noisy).prev_sample, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize(("name", "steps"), [("dpm++", 10), ("ddim", 50), ("ddpm", 50)])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_samplers_recover_the_mean_of_a_gaussian(name, steps, prediction):
    """For x ~ N(m, s^2) the best prediction is known in closed form, so samples must have mean m and spread s.

    The prediction is off by 0.002, as that of a network is at the very least: where sampling starts at a signal of
    5e-5, a network of epsilon makes noise of it.
    """
    zero = prediction != "epsilon"
    process, m, s = NoiseProcess(1000, zero), 1.5, 0.4

    def predict(z, t):
        a, b = (x[t][:, None, None, None] for x in (process.signal, process.noise))
        x0 = m + a * s**2 / (a**2 * s**2 + b**2) * (z - a * m)
        noise = (z - a * x0) / b.clamp_min(1e-4)
        return {"v": a * noise - b * x0, "epsilon": noise, "sample": x0}[prediction] + 0.002

    generator = torch.Generator().manual_seed(0)
    start = torch.randn(64, 1, 16, 16, generator=generator)
    noise = NoiseSettings(prediction=prediction, zero_terminal_snr=zero)
    out = sample(predict, start, make_scheduler(name, noise), steps, generator)
    assert float(out.mean()) == pytest.approx(m, abs=0.05)
    assert float(out.std()) == pytest.approx(s, abs=0.06)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_first_order_of_the_solver_is_ddim(prediction):
    noise = NoiseSettings(prediction=prediction, zero_terminal_snr=prediction != "epsilon")
    betas = process_betas(noise.steps, noise.zero_terminal_snr, noise.shift).numpy()
    reference = DDIMScheduler(
        trained_betas=betas,
        prediction_type={"v": "v_prediction"}.get(prediction, prediction),
        rescale_betas_zero_snr=noise.zero_terminal_snr,
        timestep_spacing="trailing",
        clip_sample=False,
    )
    reference.set_timesteps(8)
    start = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    z = start
    for t in reference.timesteps:
        z = reference.step(0.5 * z.tanh(), t, z).prev_sample
    made = sample(lambda z, t: 0.5 * z.tanh(), start, make_scheduler("ddim", noise), 8, torch.Generator())
    torch.testing.assert_close(made, z, atol=2e-3 * float(z.abs().max()), rtol=2e-3)


@given(st.integers(2, 1000), st.integers(1, 60), st.floats(0.05, 5))
def test_evaluations_lie_along_the_noise_steps(steps, evaluations, spacing):
    evaluations = min(evaluations, steps)
    found = noise_steps(steps, evaluations, spacing)
    assert len(found) == evaluations
    assert found[0] == steps - 1
    assert all(a > b for a, b in itertools.pairwise([*found, -1]))
    even = noise_steps(steps, evaluations, 1.0)
    assert even == [round(steps * (1 - i / evaluations)) - 1 for i in range(evaluations)] or steps < 2 * evaluations
    closer = [a >= b for a, b in zip(noise_steps(steps, evaluations, 0.6), even, strict=True)]
    assert all(closer)


def test_all_steps_are_evaluated_where_there_are_as_many_evaluations():
    assert noise_steps(1000, 1000, 0.6) == list(range(999, -1, -1))
    assert noise_steps(1000, 5, 0.6) == [999, 874, 735, 576, 380]


def test_a_second_batch_does_not_depend_on_the_first():
    scheduler = make_scheduler("dpm++", NoiseSettings())
    start = torch.randn(2, 1, 8, 8)
    first = sample(lambda z, t: 0.5 * z, start, scheduler, 5, torch.Generator())
    second = sample(lambda z, t: 0.5 * z, start, scheduler, 5, torch.Generator())
    assert torch.equal(first, second)


class TestNoiseAlongZ:
    @staticmethod
    def pair(reach, step=5.0):
        below, fresh = torch.randn(2, 400, 32, 48, generator=torch.Generator().manual_seed(0)).unbind(0)
        return below, coupled_noise(below, fresh, (2.5, 5.0), step, reach)

    @pytest.mark.parametrize("reach", [0.1, 0.5, 3.0])
    def test_every_slice_has_white_noise(self, reach):
        _, noise = self.pair(reach)
        assert noise.shape == (400, 32, 48)
        power = torch.fft.rfft2(noise, norm="ortho").abs().square().mean(0)
        # the power of a frequency, averaged over 400 slices, is 1 within five standard errors
        torch.testing.assert_close(power, torch.ones_like(power), atol=5 * math.sqrt(2 / 400), rtol=0)

    @pytest.mark.parametrize("step", [1.5, 5.0])
    def test_a_pattern_stays_alike_over_its_own_wavelength(self, step):
        below, noise = self.pair(0.5, step)
        a, b = torch.fft.rfft2(below), torch.fft.rfft2(noise)
        correlation = (a * b.conj()).real.mean(0) / a.abs().square().mean(0)
        assert correlation[0, 0] == pytest.approx(1, abs=1e-5)  # the mean of the slice
        for row, column, wavelength in ((2, 0, 80.0), (0, 6, 20.0), (8, 0, 20.0), (4, 12, 9.7)):
            expected = math.exp(-step / (0.5 * wavelength))
            assert correlation[row, column] == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("shift", [1.0, 0.5, 0.25])
def test_the_shift_multiplies_signal_over_noise(shift):
    plain, shifted = (cosine_betas(1000, factor) for factor in (1.0, shift))
    bars = [(1 - betas).cumprod(0) for betas in (shifted, plain)]
    ratio = torch.stack([(bar / (1 - bar)).sqrt() for bar in bars])
    ratio = ratio[0] / ratio[1]
    torch.testing.assert_close(ratio[:900], torch.full((900,), shift), rtol=0.02, atol=0)


def test_betas_stay_below_one():
    betas = cosine_betas(1000)
    assert float(betas.min()) > 0
    assert float(betas.max()) < 1


@pytest.mark.parametrize("condition", [("labels",), ("labels", "prior"), ("labels", "prior", "previous")])
@pytest.mark.parametrize("channels", [(16, 24), (16, 24, 32)])
def test_the_network_keeps_the_shape_and_uses_its_conditions(condition, channels):
    torch.manual_seed(0)
    net = denoiser(condition, channels, 2)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    z, t = torch.randn(2, 1, 32, 32), torch.tensor([3, 900])
    labels = torch.randint(0, 5, (2, 32, 32))
    prior, previous = torch.randn(2, 1, 32, 32), torch.randn(2, 2, 32, 32)
    out = net(z, t, labels, prior, previous)
    assert out.shape == z.shape
    assert not torch.allclose(out, net(z, t, (labels + 1) % 5, prior, previous))
    assert torch.allclose(out, net(z, t, labels, prior + 1, previous)) == ("prior" not in condition)
    assert torch.allclose(out, net(z, t, labels, prior, previous + 1)) == ("previous" not in condition)


def test_a_fresh_network_predicts_nothing():
    net = denoiser()
    maps = torch.zeros(1, 32, 32, dtype=torch.long)
    out = net(torch.randn(1, 1, 32, 32), torch.tensor([5]), maps, torch.randn(1, 1, 32, 32), torch.randn(1, 2, 32, 32))
    assert float(out.detach().abs().max()) == 0


def test_numpy_and_torch_suffice_for_the_core():
    """The training core must import where nibabel, MONAI, pandas and Snakemake are absent."""
    import subprocess
    import sys

    code = (
        "import sys\n"
        "for name in ('nibabel', 'monai', 'snakemake', 'pandas', 'scipy'): sys.modules[name] = None\n"
        "import pivm.generators.diffusion.generator, pivm.learning.loop\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "workflow_scripts"})
